/** A question to a tracing engine over HTTP: bounded in time and size, and never traced. */
import { context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { BodyTooLarge, readBounded } from '../bounded-body.ts'
import { StoreUnavailable } from '../store/writer-thread.ts'

/** Where an engine answers, without a trailing slash, and what it wants to be sent along. */
export interface Endpoint {
  url: string
  headers: Record<string, string>
}

const TIMEOUT_MS = 10_000

/**
 * What a GET is answered with; undefined for 404. Throws StoreUnavailable when there is no answer, or one that is none,
 * and BodyTooLarge over `maxBytes`.
 */
export async function ask(
  { url, headers }: Endpoint,
  path: string,
  accept: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  // Suppressed: a look-up that is traced adds to what it looks up.
  return context.with(suppressTracing(context.active()), async () => {
    try {
      const response = await fetch(`${url}${path}`, {
        headers: { ...headers, accept },
        // A redirect would take the headers, keys among them, to somebody else.
        redirect: 'manual',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      if (response.ok) return await readBounded(response, maxBytes)
      await response.body?.cancel()
      if (response.status === 404) return undefined
      throw new StoreUnavailable(`The trace store answers ${response.status}.`)
    } catch (error) {
      if (error instanceof BodyTooLarge || error instanceof StoreUnavailable) throw error
      throw new StoreUnavailable('The trace store does not answer.', { cause: error })
    }
  })
}
