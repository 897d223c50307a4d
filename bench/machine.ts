/** The machine that something is measured on, and whether it has other work to do. Nothing says whose machine it is. */

import { cpus, loadavg, totalmem } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { rounded } from './median.ts'

const LOOK_MS = 2_000

export interface Machine {
  cpu: string
  cores: number
  memoryGiB: number
  node: string
  platform: string
}

export interface Load {
  /** Processes that ran or wanted to, over the last minute; after a bench, its own among them. */
  average: number
  /** Of all cores' time, by whomever, in two seconds in which the bench does nothing. */
  busy: number
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: process.platform,
  }
}

/** Takes two seconds, in which nothing should be done. */
export async function loadOfMachine(): Promise<Load> {
  const average = rounded(loadavg()[0] ?? Number.NaN)
  const before = coreTimes()
  await delay(LOOK_MS)
  const after = coreTimes()
  return { average, busy: rounded(1 - (after.idle - before.idle) / (after.all - before.all)) }
}

function coreTimes(): { idle: number; all: number } {
  const times = cpus().map(({ times }) => times)
  const all = times.flatMap((of) => Object.values(of))
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(all) }
}
