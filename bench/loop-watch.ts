/**
 * Loaded into a process that is measured. Over IPC it answers `{type: 'delay'}` with the delays of its event loop since it
 * was asked last, milliseconds, and `{type: 'heap'}` with what it still holds when all rubbish is gone, MiB;
 * `{type: 'hour', by}` sets its clock so many hours forward, one unless it is said. By itself it is a process that has
 * nothing to do, for comparison.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How often the loop is asked: what a delay is measured against, and not part of it. */
const RESOLUTION_MS = 5
const HOUR_MS = 3_600_000

export interface LoopDelay {
  p50: number
  p99: number
  max: number
}

export interface Heap {
  /** Objects. */
  heapMiB: number
  /** What objects hold outside: buffers, mostly. */
  externalMiB: number
}

const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
loop.enable()
const realNow = Date.now
let ahead = 0
Date.now = () => realNow() + ahead

process.on('message', ({ type, by = 1 }: { type: string; by?: number }) => {
  if (type === 'hour') ahead += by * HOUR_MS
  if (type === 'heap') process.send?.({ type: 'heap', heap: heapWithoutRubbish() })
  if (type !== 'delay') return
  const beyond = (ns: number) => Math.max(0, Math.round(ns / 1e4 - RESOLUTION_MS * 100) / 100)
  const delay: LoopDelay = { p50: beyond(loop.percentile(50)), p99: beyond(loop.percentile(99)), max: beyond(loop.max) }
  process.send?.({ type: 'delay', delay })
  loop.reset()
})

function heapWithoutRubbish(): Heap {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // What the first lets go of may have held something outside.
  for (let times = 0; times < 2; times++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return { heapMiB: heapUsed / 2 ** 20, externalMiB: external / 2 ** 20 }
}
