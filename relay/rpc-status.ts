/** Errors where spans are sent: the specification wants each to be a google.rpc.Status in the encoding of the request. */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { CONTENT_TYPES, encodeStatus, encodingOf } from './otlp.ts'

/** gRPC status codes (google/rpc/code.proto), by the HTTP status that says the same. */
export const GRPC_CODES = { 401: 16, 403: 7, 429: 8, 500: 13 } as const

/** Whether a request is for the OTLP receiver. */
export function isExport(c: Context): boolean {
  return c.req.path.startsWith('/v1/')
}

/** The error; in JSON when the request is in no encoding of ours. */
export function answerStatus(
  c: Context,
  status: keyof typeof GRPC_CODES & ContentfulStatusCode,
  message: string,
): Response {
  const encoding = encodingOf(c.req.header('content-type')) ?? 'json'
  const body = encodeStatus(GRPC_CODES[status], message, encoding)
  return c.body(body, status, { 'content-type': CONTENT_TYPES[encoding] })
}
