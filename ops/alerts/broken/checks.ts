/** Places that checks are made from: each is a process of `npm run synthetics`, on a port that is known beforehand. */

import { freePort } from '../../free-port.ts'
import type { Target } from '../../observe/prometheus.ts'
import { type Checked, startChecks } from '../../synthetics/running.ts'
import { until } from './cause.ts'

const JOB = 'pass-ats-synthetics'

/** Where they will be found, before there is any. Throws an Error when no port is free. */
export async function findPlaces(count: number) {
  const ports = await Promise.all(Array.from({ length: count }, freePort))
  return {
    targets: ports.map((port): Target => ({ job: JOB, address: `127.0.0.1:${port}` })),
    /** Checks from all of them until the signal comes. Throws an Error when one ends before that. */
    check: (checked: Checked, everySeconds: number, signal: AbortSignal) =>
      Promise.all(ports.map((port) => checkFrom(port, checked, everySeconds, signal))),
  }
}

export type Places = Awaited<ReturnType<typeof findPlaces>>

async function checkFrom(port: number, checked: Checked, everySeconds: number, signal: AbortSignal): Promise<void> {
  const { gone, stop } = startChecks(checked, { everySeconds, port }, '--via', 'http')
  const ended = await Promise.race([gone.then(() => !signal.aborted), until(signal).then(() => false)])
  await stop()
  if (ended) throw new Error(`The checks at port ${port} have ended by themselves.`)
}
