/** Somebody who wants a PDF over a network and a service that fail, and does what the extension does about it. */

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Refused, type RunClient } from '../ops/run-client.ts'
import type { FailureCode } from '../server/contract.ts'

/** `stuck` when it has neither come to a PDF nor to a failure that says what it is. */
export type Fate = 'done' | FailureCode | 'stuck'

/** Worth another try with the same ID: what the service has lost or not heard of. */
const AGAIN: ReadonlySet<string> = new Set(['run_not_found', 'interrupted', 'server_unreachable', 'relay_unreachable'])
const AGAIN_MS = 500

/** One run, however often it takes to post and follow it, to its PDF; or to what failed, at the latest after `withinMs`. */
export async function insist(
  client: RunClient,
  body: object,
  withinMs: number,
  id = randomBytes(16).toString('hex'),
): Promise<{ id: string; fate: Fate }> {
  const deadline = Date.now() + withinMs
  let fate: Fate = 'stuck'
  for (;;) {
    const came = await once(client, body, id)
    fate = came ?? fate
    if (came && !AGAIN.has(came)) return { id, fate: came }
    if (Date.now() > deadline) return { id, fate }
    await delay(AGAIN_MS)
  }
}

/** Undefined when nobody has said anything: a connection that broke, or an expired token. */
async function once(client: RunClient, body: object, id: string): Promise<Fate | undefined> {
  try {
    await client.post(body, id)
    const last = (await (await client.follow(id)).events).at(-1)
    if (last?.type === 'failed') return last.failure.code
    await client.pdfBytes(id)
    return 'done'
  } catch (error) {
    if (!(error instanceof Refused)) return undefined
    if (error.status !== 401) return error.code
    await client.renew().catch(() => undefined)
    return undefined
  }
}
