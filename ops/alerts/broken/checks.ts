/** Places that checks are made from: each is a process of `npm run synthetics`, on a port that is known beforehand. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from '../../closing.ts'
import { freePort } from '../../free-port.ts'
import type { Target } from '../../observe/prometheus.ts'
import { until } from './cause.ts'

const CHECKS = fileURLToPath(new URL('../../synthetics/main.ts', import.meta.url))
const JOB = 'pass-ats-synthetics'

export interface Checked {
  /** Of the relay. */
  url: string
  key: string
  everySeconds: number
}

/** Where they will be found, before there is any. Throws an Error when no port is free. */
export async function findPlaces(count: number) {
  const ports = await Promise.all(Array.from({ length: count }, freePort))
  return {
    targets: ports.map((port): Target => ({ job: JOB, address: `127.0.0.1:${port}` })),
    /** Checks from all of them until the signal comes. Throws an Error when one ends before that. */
    check: (checked: Checked, signal: AbortSignal) =>
      Promise.all(ports.map((port) => checkFrom(port, checked, signal))),
  }
}

export type Places = Awaited<ReturnType<typeof findPlaces>>

async function checkFrom(port: number, { url, key, everySeconds }: Checked, signal: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [CHECKS, '--via', 'http'], {
    env: {
      ...process.env,
      PASS_ATS_URL: url,
      PASS_ATS_SYNTHETIC_KEY: key,
      PASS_ATS_SYNTHETIC_SECONDS: String(everySeconds),
      SYNTHETICS_METRICS_PORT: String(port),
    },
    stdio: 'ignore',
  })
  const gone = once(child, 'exit')
  const end = async () => {
    child.kill('SIGTERM')
    await gone
  }
  const forget = closeOnSignal(end)
  await Promise.race([gone, until(signal)])
  forget()
  const ended = child.exitCode !== null || child.signalCode !== null
  if (ended && !signal.aborted) throw new Error(`The checks at port ${port} have ended by themselves.`)
  await end()
}
