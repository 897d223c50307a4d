/**
 * POST /v1/traces by services, straight from node:http. They have no quota and send nearly all that is ever sent, and
 * what a framework's Request, Response and streams cost is more than all that is done with a request here.
 *
 * It refuses nobody: whatever is not plainly a service's request goes the way of all others, and is answered there.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { begin } from '../http-metrics.ts'
import { REQUEST_ID_HEADER } from '../server/relay-contract.ts'
import type { Access } from './access/access.ts'
import { MAX_BODY_BYTES, type Receive } from './ingest.ts'
import type { Log } from './log.ts'
import { LOOPBACK } from './origin.ts'
import { CONTENT_TYPES, encodeStatus, encodingOf } from './otlp.ts'
import { GRPC_CODES } from './rpc-status.ts'

export interface LaneParts {
  access: Pick<Access, 'isService' | 'countServiceRequest'>
  receive: Receive
  /** Host names, besides the loopback's, that this relay is reached by. */
  hosts: readonly string[]
  log: Log
}

/** Answers a request and returns true, or leaves it as it is. */
export function createServiceLane({ access, receive, hosts, log }: LaneParts) {
  const names = new Set([...LOOPBACK, ...hosts])
  /** What was shown on a connection and found good: whoever shows the same there again learns nothing from the time. */
  const shown = new WeakMap<Socket, string>()

  function isService({ socket, headers: { authorization } }: IncomingMessage): boolean {
    if (authorization === undefined) return false
    if (shown.get(socket) === authorization) return true
    if (!access.isService(authorization)) return false
    shown.set(socket, authorization)
    return true
  }

  function isForUs(incoming: IncomingMessage): boolean {
    const { method, url, headers } = incoming
    if (method !== 'POST' || url !== '/v1/traces' || headers.origin !== undefined) return false
    // Announced, so that node:http sees to it that no more comes.
    const length = headers['content-length']
    if (length === undefined || Number(length) > MAX_BODY_BYTES) return false
    return names.has(headers.host?.replace(/:\d+$/, '') ?? '') && isService(incoming)
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const requestId = randomUUID()
    const end = begin('POST')
    outgoing.setHeader(REQUEST_ID_HEADER, requestId)
    try {
      const { status, headers, body } = await receive({
        header: (name) => incoming.headers[name] as string | undefined,
        read: (take) => bodyOf(incoming, take),
        isAborted: () => incoming.destroyed && !incoming.complete,
        meter: undefined,
      })
      outgoing.writeHead(status, { ...headers, 'content-length': body.length })
      // Nothing, instead of an empty body: then the head goes in one piece.
      outgoing.end(body.length > 0 ? body : undefined)
      // What was refused unread must not be taken for the next request.
      if (!incoming.complete) incoming.resume()
      // Not when the last of it has left: an event of each answer would cost more than it says.
      end({ route: '/v1/traces', status, synthetic: false })
    } catch (error) {
      log.error({ err: error, method: incoming.method, request_id: requestId }, 'request failed')
      const encoding = encodingOf(incoming.headers['content-type']) ?? 'json'
      outgoing.writeHead(500, { 'content-type': CONTENT_TYPES[encoding] })
      outgoing.end(encodeStatus(GRPC_CODES[500], 'Something went wrong on our side.', encoding))
      end({ route: '/v1/traces', status: 500, synthetic: false })
    }
  }

  return (incoming: IncomingMessage, outgoing: ServerResponse): boolean => {
    if (!isForUs(incoming)) return false
    access.countServiceRequest()
    void answer(incoming, outgoing)
    return true
  }
}

/** Rejects when the connection ends before the body does, and with what `take` throws of a part. */
function bodyOf(incoming: IncomingMessage, take: (bytes: number) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => {
      try {
        take(chunk.length)
        chunks.push(chunk)
      } catch (error) {
        incoming.removeAllListeners('data')
        reject(error)
      }
    })
    incoming.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
    incoming.on('error', reject)
    incoming.on('close', () => incoming.complete || reject(new Error('The body ended early.')))
  })
}
