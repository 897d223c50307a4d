/** What asks for resumes, in place of the extension: over HTTP. */

import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import type { Stack } from '../../stack.ts'

const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

export const traceId = () => randomBytes(16).toString('hex')

/** Does it again and again, so many at once, until the signal comes. What fails is what is wanted, or is seen elsewhere. */
export async function over(signal: AbortSignal, atOnce: number, work: () => Promise<unknown>): Promise<void> {
  const one = async () => {
    while (!signal.aborted) await work().catch(() => pass(50))
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}

/** What the extension asks for, over HTTP. */
export async function callerOf(stack: Stack, key?: string) {
  const init = { method: 'POST', ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }) }
  const { token } = await (await fetch(`${stack.relayUrl}/installs`, init)).json()
  const ask = (id: string, path: string, { headers, ...rest }: RequestInit = {}) =>
    fetch(stack.relayUrl + path, {
      ...rest,
      headers: { traceparent: `00-${id}-00f067aa0ba902b7-03`, authorization: `Bearer ${token}`, ...headers },
    })
  const post = (id: string, body: object) =>
    ask(id, '/generate', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'pass-ats-timings': 'extract=120, request=150' },
      body: JSON.stringify(body),
    }).then((answer) => answer.text())
  return {
    /** To the PDF, or to where the signal comes: then it is cancelled, as by a person. */
    async run(signal: AbortSignal | null = null) {
      const id = traceId()
      const clickedAt = performance.now()
      await post(id, { profile, posting })
      try {
        const events = await (await ask(id, `/runs/${id}/events`, { signal })).text()
        if (!/"type":"done"/.test(events)) return
        const timings = `elapsed=${Math.round(performance.now() - clickedAt)}`
        await (await ask(id, `/runs/${id}/resume.pdf`, { headers: { 'pass-ats-timings': timings }, signal })).bytes()
      } finally {
        if (signal?.aborted) await ask(id, `/runs/${id}/cancel`, { method: 'POST' })
      }
    },
    /** A request for a run that is refused for what it says: cheap, and counted by the relay all the same. */
    malformed: () => post(traceId(), { profile: 1 }),
    compile: (latex: string) =>
      ask(traceId(), '/compile', {
        method: 'POST',
        headers: { 'content-type': 'application/x-tex' },
        body: latex,
      }).then((answer) => answer.bytes()),
  }
}
