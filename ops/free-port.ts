/** A port for what cannot be told to let the system choose. */

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below those that systems give to connections (Linux: from 32768, others: from 49152), and above those that services are
 * known by. One of the system's choice would be given to somebody's connection while nobody listens there: a server that
 * is killed and started anew, as tests do, would not get it back.
 */
const [FROM, TO] = [20_000, 32_000]
const MAX_TRIES = 50

/** A port of the loopback that was free a moment ago. Throws an Error when none is. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const port = randomInt(FROM, TO)
    if (await isFree(port)) return port
  }
  throw new Error(`No port between ${FROM} and ${TO} is free.`)
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  const listening = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!listening) return false
  probe.close()
  await once(probe, 'close')
  return true
}
