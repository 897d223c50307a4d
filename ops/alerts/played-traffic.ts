/** A metrics endpoint that says what the documents' traffic would make a service say, a minute of it in a second. */

import { openEndpoint } from '../../fixtures/endpoint.ts'
import type { Target } from '../observe/prometheus.ts'
import { isCounter, linesOf, NOW, type Traffic } from './traffic.ts'

const SECONDS_A_MINUTE = 1

interface Line {
  value: number
  perMinute: number
}

export interface PlayedTraffic {
  target: Target
  /** From now on this goes on; what it does not name stays as it is. */
  play(traffic: Traffic): void
  close(): Promise<void>
}

/** Throws when it cannot listen. What `known` names stands at 0 from the start, as in a service that counts it. */
export async function playTraffic(job: string, known: Traffic): Promise<PlayedTraffic> {
  const lines = new Map<string, Line>([...linesOf(known).keys()].map((name) => [name, { value: 0, perMinute: 0 }]))
  let clocks: string[] = []
  let since = performance.now()

  function settle(): void {
    const minutes = (performance.now() - since) / 1_000 / SECONDS_A_MINUTE
    since = performance.now()
    for (const line of lines.values()) line.value += line.perMinute * minutes
  }

  const { url, close } = await openEndpoint((_, response) => {
    settle()
    for (const name of clocks) lines.set(name, { value: Date.now() / 1_000, perMinute: 0 })
    const text = [...lines].map(([name, { value }]) => `${name} ${value}\n`).join('')
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text)
  })
  return {
    target: { job, address: new URL(url).host },
    play(traffic) {
      settle()
      clocks = Object.keys(traffic).filter((written) => traffic[written] === NOW)
      for (const { name, startsAt, perMinute } of linesOf(traffic).values()) {
        // What grows goes on from where it is.
        const value = isCounter(name) || perMinute > 0 ? (lines.get(name)?.value ?? 0) : startsAt
        lines.set(name, { value, perMinute })
      }
    },
    close,
  }
}
