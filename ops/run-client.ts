/** A caller of the relay without a browser: one install that posts runs, follows them to their end and gets their PDFs. */

import { randomBytes } from 'node:crypto'
import { RunEvent } from '../server/contract.ts'

export interface RunClient {
  /** Posts a run and follows it; resolves with its events, the last of which is its end. Throws when it has none. */
  run(body: object): Promise<{ id: string; events: RunEvent[] }>
  /** Size of the run's PDF, bytes. Throws when there is none. */
  pdfBytes(id: string): Promise<number>
}

/** Registers at the relay. */
export async function newRunClient(relayUrl: string): Promise<RunClient> {
  const registered = await (await fetch(`${relayUrl}/installs`, { method: 'POST' })).json()
  const authorization = `Bearer ${registered.token}`
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(relayUrl + path, { ...init, headers: { ...init.headers, authorization } })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response
  }
  return {
    async run(body) {
      const id = randomBytes(16).toString('hex')
      const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-03`
      const headers = { 'content-type': 'application/json', traceparent }
      await (await get('/generate', { method: 'POST', body: JSON.stringify(body), headers })).text()
      const text = await (await get(`/runs/${id}/events`)).text()
      const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => RunEvent.parse(JSON.parse(data)))
      const last = events.at(-1)
      if (last?.type !== 'done' && last?.type !== 'failed') throw new Error(`The run ${id} has no end.`)
      return { id, events }
    },
    async pdfBytes(id) {
      return (await (await get(`/runs/${id}/resume.pdf`)).arrayBuffer()).byteLength
    },
  }
}
