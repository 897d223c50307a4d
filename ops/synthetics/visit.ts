/** What a check asks the relay for over HTTP, as an install of its own key. */

import { randomBytes } from 'node:crypto'
import type { InstallAccess } from '../../relay/access-contract.ts'
import { TIMINGS_HEADER } from '../../relay/timings-contract.ts'
import { ErrorBody, Run, type RunEvent } from '../../server/contract.ts'
import { readEvents } from '../run-client.ts'
import type { Attempt } from './attempt.ts'
import { CheckFailed, HarnessFailed } from './verdict.ts'

/** Where to, and known by what. */
export interface Relay {
  url: string
  key: string | undefined
}

const CANCEL_MS = 5_000
/** The machine that asks reaches nobody: that tells nothing about the relay. */
const NO_NETWORK = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN'])

/**
 * Registers with the key. Throws HarnessFailed when the relay does not know it, or when too much was asked for with it.
 */
export async function signIn({ url, key }: Relay, { signal, phase }: Attempt): Promise<InstallAccess> {
  phase('sign_in')
  // Without one, its traffic would count as a person's.
  if (key === undefined) throw new HarnessFailed('synthetic_key_missing', { again: false })
  const init = { method: 'POST', headers: { authorization: `Bearer ${key}` }, signal }
  return ask(`${url}/installs`, init, (response) => response.json() as Promise<InstallAccess>)
}

/** Asks as `access`, in the attempt's trace. */
export function visitor(relay: Relay, access: InstallAccess, attempt: Attempt) {
  const request = <T>(path: string, init: RequestInit, read: (response: Response) => Promise<T>) => {
    const traceparent = `00-${attempt.id}-${randomBytes(8).toString('hex')}-03`
    const headers = { authorization: `Bearer ${access.token}`, traceparent, ...init.headers }
    return ask(relay.url + path, { signal: attempt.signal, ...init, headers }, read)
  }
  const bytes = async (response: Response) => new Uint8Array(await response.arrayBuffer())
  return {
    post: (body: object, timings = '') =>
      request(
        '/generate',
        {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json', ...told(timings) },
        },
        async (response) => Run.parse(await response.json()),
      ),
    /** The run's events to its last one. */
    follow: (): Promise<RunEvent[]> => request(`/runs/${attempt.id}/events`, {}, readEvents),
    pdf: (timings = '') => request(`/runs/${attempt.id}/resume.pdf`, { headers: told(timings) }, bytes),
    compile: (latex: string) => request('/compile', { method: 'POST', body: latex }, bytes),
    /** Nobody waits for it any more. What does not get through ends by itself. */
    async cancel(): Promise<void> {
      const init = { method: 'POST', signal: AbortSignal.timeout(CANCEL_MS) }
      await request(`/runs/${attempt.id}/cancel`, init, bytes).catch(() => undefined)
    },
  }
}

function told(timings: string): Record<string, string> {
  return timings ? { [TIMINGS_HEADER]: timings } : {}
}

/** What `read` makes of an answer. Throws CheckFailed and HarnessFailed. */
async function ask<T>(url: string, init: RequestInit, read: (response: Response) => Promise<T>): Promise<T> {
  try {
    const response = await fetch(url, init)
    if (!response.ok) throw refusal(response.status, await response.text())
    return await read(response)
  } catch (error) {
    if (error instanceof CheckFailed || error instanceof HarnessFailed || init.signal?.aborted) throw error
    const { cause } = error as Error
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (NO_NETWORK.has(code)) throw new HarnessFailed('no_network', { cause: error })
    // Every fault of the connection is a TypeError to fetch; any other error is of what came over it.
    if (error instanceof TypeError && cause !== undefined) throw new CheckFailed('relay_unreachable', { cause: error })
    throw new CheckFailed('answer_invalid', { cause: error })
  }
}

function refusal(status: number, text: string): CheckFailed | HarnessFailed {
  const code = codeIn(text) ?? `http_${status}`
  // Its key and its quota are the harness's own; a token that the relay has just given is not.
  if (code === 'synthetic_key_unknown') return new HarnessFailed(code, { again: false })
  if (status === 429) return new HarnessFailed(code, { again: false })
  return new CheckFailed(code)
}

function codeIn(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text)
    if (ErrorBody.is(body)) return body.error.code
    // The relay's own refusals have codes of their own.
    const { code } = (body as { error?: { code?: unknown } }).error ?? {}
    return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code) ? code : undefined
  } catch {
    return undefined
  }
}
