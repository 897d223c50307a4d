/** One attempt: a POST that reaches the public Internet only, follows nothing, and ends in time whatever comes back. */

import type { LookupAddress } from 'node:dns'
import { lookup as systemLookup } from 'node:dns/promises'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { mayReach } from './address.ts'
import type { Outcome } from './schedule.ts'

/** From the look-up of the name to the status line. */
const TIMEOUT_MS = 15_000
/** Of an answer's body, which nobody reads. */
const MAX_ANSWER_BYTES = 16 * 1024

export interface PostOptions {
  allowLoopback: boolean
  signal: AbortSignal
  timeoutMs?: number
  /** All addresses of a name. */
  resolve?: (name: string) => Promise<LookupAddress[]>
}

class AddressRefused extends Error {
  readonly code = 'address_refused'
}

/** Sends the body. Never rejects: why there was no answer is a code, low in cardinality. */
export async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
  { allowLoopback, signal, timeoutMs = TIMEOUT_MS, resolve = (name) => systemLookup(name, { all: true }) }: PostOptions,
): Promise<Outcome> {
  const name = url.hostname.replace(/^\[|\]$/g, '')
  // Of an address nobody asks for a look-up.
  if (isIP(name) && !mayReach(name, allowLoopback)) return { error: 'address_refused' }
  // What was looked at is what is connected to: a name that is asked for twice can answer differently.
  const lookup: LookupFunction = (host, { all }, done) => {
    resolve(host).then(
      (addresses) => {
        // One that is inside is a name that somebody has pointed there.
        const refused = addresses.length === 0 || addresses.some(({ address }) => !mayReach(address, allowLoopback))
        const [first] = addresses
        if (refused || !first) done(new AddressRefused('Not a public address.'), [])
        else if (all) done(null, addresses)
        else done(null, first.address, first.family)
      },
      (error: Error) => done(error as NodeJS.ErrnoException, []),
    )
  }
  const timeout = AbortSignal.timeout(timeoutMs)
  const { promise, resolve: settle } = Promise.withResolvers<Outcome>()
  // Not fetch, which has no look-up of one's own; and node:http sends neither trace context nor baggage here.
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const request: ClientRequest = send(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    lookup,
    agent: false,
    signal: AbortSignal.any([timeout, signal]),
  })
  request.on('response', (response) => {
    settle({ status: response.statusCode ?? 0, retryAfterMs: retryAfterIn(response) })
    drain(request, response)
  })
  request.on('error', (error) => settle({ error: timeout.aborted ? 'timeout' : codeOf(error, signal) }))
  // Closed without either, as by who wants another protocol: without this nobody would ever hear of it.
  request.on('close', () => settle({ error: 'no_answer' }))
  request.end(body)
  return promise
}

/** Lets the other side finish its answer, within bounds. */
function drain(request: ClientRequest, response: IncomingMessage): void {
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) request.destroy()
  })
  response.on('error', () => undefined)
}

function retryAfterIn({ headers }: IncomingMessage): number | undefined {
  const value = headers['retry-after']
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return ms > 0 ? ms : undefined
}

function codeOf(error: Error, signal: AbortSignal): string {
  if (signal.aborted) return 'interrupted'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
