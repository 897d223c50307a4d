/** What it costs a process to take in spans: its CPU's time, its memory, and the disk. */
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CONTENT_TYPES, type Encoding } from '../relay/otlp.ts'
import { requestOf, sendUntil } from './load.ts'
import type { PinnedProcess } from './pinned-process.ts'

/** Seconds of the process's CPU, not of a clock: on a busy machine it gets few of them in a second. */
export const MEASURED_S = 4
/** Until V8 has compiled what is done all the time: after two seconds that still took a seventh of what was measured. */
export const WARM_UP_S = 5

/** What is sent. */
export interface Load {
  encoding: Encoding
  gzipped: boolean
  /** Spans a request. */
  batch: number
  /** One trace in so many has an error; as the payload has it, unless it is given. */
  failedIn?: number
}
export interface Cost {
  spansPerCpuSecond: number
  peakMiB: number
  diskBytesPerSpan: number
}
interface Sending {
  headers: Record<string, string>
  bodies: Uint8Array[]
  /** Holds the folder `store`, whose size is measured. */
  folder: string
  /** Resolves when nothing of so many requests is left to be done; when all are answered, unless it is given. */
  drained?: (requests: number) => Promise<void>
}

/** Loads a process from when it is `ready` and tells its URL, stops it, and says what it has used. */
export async function costOf(
  target: PinnedProcess,
  ready: Promise<string>,
  { batch }: Load,
  { headers, bodies, folder, drained = async () => {} }: Sending,
): Promise<Cost> {
  const gone = once(target.child, 'exit').then(() => Promise.reject(new Error('What is measured has ended.')))
  // Only while it is waited for below.
  gone.catch(() => {})
  try {
    const url = await Promise.race([ready, gone])
    const requests = bodies.map((body) => requestOf(url, headers, body))
    const send = async (seconds: number) => {
      const end = target.cpuSeconds() + seconds
      return Promise.race([sendUntil(url, requests, () => target.cpuSeconds() >= end), gone])
    }
    const warmUp = await send(WARM_UP_S)
    await drained(warmUp)
    const before = target.cpuSeconds()
    const sent = await send(MEASURED_S)
    await drained(warmUp + sent)
    const cpuSeconds = target.cpuSeconds() - before
    const peakBytes = target.peakBytes()
    await target.stop()
    return {
      spansPerCpuSecond: Math.round((sent * batch) / cpuSeconds),
      peakMiB: Math.round(peakBytes / 2 ** 20),
      diskBytesPerSpan: Math.round((await bytesIn(join(folder, 'store'))) / ((warmUp + sent) * batch)),
    }
  } finally {
    await target.stop()
  }
}

/** In a temporary folder that goes afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-ingest-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function headersOf({ encoding, gzipped }: Load): Record<string, string> {
  return { 'content-type': CONTENT_TYPES[encoding], ...(gzipped ? { 'content-encoding': 'gzip' } : {}) }
}

async function bytesIn(folder: string): Promise<number> {
  const files = await readdir(folder)
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
