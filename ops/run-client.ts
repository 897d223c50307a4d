/** A caller of the relay without a browser: one install that posts runs, follows them to their end and gets their PDFs. */

import { randomBytes } from 'node:crypto'
import type { InstallAccess } from '../relay/access-contract.ts'
import { type FailureCode, RunEvent } from '../server/contract.ts'

/** An answer that is no success. */
export class Refused extends Error {
  override name = 'Refused'
  readonly status: number
  /** The failure's; undefined for an answer that names none. */
  readonly code: FailureCode | undefined

  constructor(path: string, status: number, body: string) {
    super(`${path}: ${status} ${body}`)
    this.status = status
    this.code = (parsed(body) as { error?: { code?: FailureCode } } | undefined)?.error?.code
  }
}

export interface RunClient {
  /** Posts a run, and follows it to its end. */
  run(body: object): Promise<{ id: string; events: RunEvent[] }>
  /** Posts a run, a new one unless it has an ID; resolves with its ID when it is taken. */
  post(body: object, id?: string): Promise<string>
  /** Resolves when the stream stands; `events` when it has ended, with what came. Throws when that has no end. */
  follow(id: string): Promise<{ events: Promise<RunEvent[]> }>
  /** Size of the run's PDF, bytes. Throws when there is none. */
  pdfBytes(id: string): Promise<number>
  /** Reports the run, so that its trace is kept. */
  keep(id: string): Promise<void>
  /** The next token in place of one that has expired. */
  renew(): Promise<void>
}

/** Registers at the relay; with the key of a synthetic check as one. */
export async function newRunClient(relayUrl: string, syntheticKey?: string): Promise<RunClient> {
  const headers = syntheticKey === undefined ? {} : { headers: { authorization: `Bearer ${syntheticKey}` } }
  const ask = async (path: string, body: string | null): Promise<InstallAccess> => {
    const response = await fetch(relayUrl + path, { method: 'POST', body, ...headers })
    if (!response.ok) throw new Refused(path, response.status, await response.text())
    return response.json()
  }
  let access = await ask('/installs', null)
  const get = async (path: string, init: RequestInit = {}) => {
    const authorization = `Bearer ${access.token}`
    const response = await fetch(relayUrl + path, { ...init, headers: { ...init.headers, authorization } })
    if (!response.ok) throw new Refused(path, response.status, await response.text())
    return response
  }
  const client: RunClient = {
    async run(body) {
      const id = await client.post(body)
      const { events } = await client.follow(id)
      return { id, events: await events }
    },
    async post(body, id = randomBytes(16).toString('hex')) {
      const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-03`
      const headers = { 'content-type': 'application/json', traceparent }
      await (await get('/generate', { method: 'POST', body: JSON.stringify(body), headers })).text()
      return id
    },
    async follow(id) {
      return { events: readEvents(await get(`/runs/${id}/events`)) }
    },
    async pdfBytes(id) {
      return (await (await get(`/runs/${id}/resume.pdf`)).arrayBuffer()).byteLength
    },
    async keep(id) {
      await (await get(`/traces/${id}/keep`, { method: 'POST' })).text()
    },
    async renew() {
      access = await ask('/installs/refresh', JSON.stringify({ refresh: access.refresh }))
    },
  }
  return client
}

/** Events of a stream, to its end. Throws when it has none. */
export async function readEvents(response: Response): Promise<RunEvent[]> {
  const text = await response.text()
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => RunEvent.parse(JSON.parse(data)))
  const last = events.at(-1)
  if (last?.type !== 'done' && last?.type !== 'failed') throw new Error('The stream of events has no end.')
  return events
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
