/** Requests to the relay, each with its CLIENT span and its failures in the product's own words. */

import { type Span, SpanKind } from '@opentelemetry/api'
import {
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
} from '../names.ts'
import { ErrorBody } from '../server/contract.ts'
import { fetchAsInstall, prepareAccess } from './relay-access.ts'
import { RunFailure } from './run-failure.ts'
import { markFailed, type Tracer } from './tracer/tracer.ts'

export interface RelayRequest {
  method: 'GET' | 'POST'
  /** Path on the relay, made here and never taken from an answer: it goes into a span. */
  path: string
  body?: unknown
  headers?: Record<string, string>
  signal: AbortSignal
  /** The span that waits for what the request starts, when that outlasts the request. */
  waiting?: Span
}

export class RelayClient {
  readonly #url: string
  readonly #tracer: Tracer

  constructor(url: string, tracer: Tracer) {
    this.#url = url
    this.#tracer = tracer
    prepareAccess(url)
  }

  /**
   * Sends a request, once its span is in storage, and reads its answer with `read`; the span covers both, so that it
   * lasts as long as a stream does. Throws RunFailure relay_unreachable when there is no answer, or the failure that the answer holds, or that the signal was aborted with.
   */
  async request<T>(parent: Span, request: RelayRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const url = new URL(request.path, this.#url)
    const span = this.#tracer.start(request.method, parent, {
      kind: SpanKind.CLIENT,
      attributes: {
        [ATTR_HTTP_REQUEST_METHOD]: request.method,
        [ATTR_URL_FULL]: url.href,
        [ATTR_SERVER_ADDRESS]: url.hostname,
        [ATTR_SERVER_PORT]: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      },
    })
    try {
      await this.#tracer.written()
      const response = await this.#fetch(url, request, this.#tracer.headers(span, request.waiting))
      span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, response.status)
      if (!response.ok) throw await failureOf(response)
      return await read(response).catch((cause: unknown) => {
        // Cut off, or not what was promised: either way the other side did not give its answer.
        throw cause instanceof RunFailure ? cause : RunFailure.of('server_unreachable', cause)
      })
    } catch (error) {
      const failure = RunFailure.ofAbort(request.signal) ?? RunFailure.from(error)
      markFailed(span, failure)
      throw failure
    } finally {
      span.end()
    }
  }

  async #fetch(url: URL, { method, body, headers, signal }: RelayRequest, context: Record<string, string>) {
    try {
      return await fetchAsInstall(url.href, {
        method,
        headers: { ...context, ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    } catch (cause) {
      throw RunFailure.of('relay_unreachable', cause)
    }
  }
}

/** The failure in the answer; for an answer that is not ours (a proxy's page, say), what its status means. */
async function failureOf(response: Response): Promise<RunFailure> {
  const body: unknown = await response.json().catch(() => undefined)
  if (ErrorBody.is(body)) return new RunFailure(body.error)
  if ([502, 503, 504].includes(response.status)) return RunFailure.of('server_unreachable')
  if (response.status === 429) return RunFailure.of('rate_limited')
  if (response.status === 413) return RunFailure.of('request_too_large')
  // Nothing of ours answers like this: the address leads somewhere else.
  return RunFailure.of('relay_unreachable')
}
