/** Tells the server that a run is cancelled. The person has seen it end by then, and waits for none of this. */

import type { Span } from '@opentelemetry/api'
import { pause } from './events.ts'
import { fetchAsInstall } from './relay-access.ts'
import { RelayClient } from './relay-client.ts'
import { readSettings } from './settings.ts'
import type { Tracer } from './tracer/tracer.ts'

/** How long the trace waits to tell that the server was told. */
const TELL_MS = 3_000
/** Offline, some more tries; after that the server makes a PDF that nobody asks for. A worker lives about as long. */
const MORE_TRIES = 4
const AGAIN_MS = 6_000

/** Resolves when the server was told, or could not be within three seconds; then it is tried on. Never rejects. */
export async function tellCancelled(tracer: Tracer, root: Span, runId: string): Promise<void> {
  const path = `/runs/${runId}/cancel`
  try {
    const { relayUrl } = await readSettings()
    const request = { method: 'POST', path, signal: AbortSignal.timeout(TELL_MS) } as const
    await new RelayClient(relayUrl, tracer)
      .request(root, request, async (response) => void (await response.body?.cancel()))
      .catch(() => void tryOn(new URL(path, relayUrl).href, tracer.headers(root)))
  } catch {
    // Where settings cannot be read there is nobody to tell.
  }
}

// Without spans: the run's trace has ended, and says already that the server could not be told.
async function tryOn(url: string, headers: Record<string, string>): Promise<void> {
  for (let tries = 0; tries < MORE_TRIES; tries++) {
    await pause(AGAIN_MS, AbortSignal.timeout(AGAIN_MS))
    const signal = AbortSignal.timeout(TELL_MS)
    const told = await fetchAsInstall(url, { method: 'POST', headers, signal }).then(
      // Who does not know the run has nothing to stop.
      ({ status }) => status < 500 && status !== 429,
      () => false,
    )
    if (told) return
  }
}
