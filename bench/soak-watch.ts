/** What a stack and a browser hold, looked at again and again: whether it grows. */

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from '../ops/browser.ts'
import type { Stack } from '../ops/stack.ts'
import { heldBy, residentMiB } from './held.ts'
import { median } from './median.ts'
import type { MixedLoad } from './mixed-load.ts'
import { type Trend, trendOf } from './trend.ts'
import { heapOf } from './watched-loop.ts'

const LOOK_EVERY_MS = 5_000
/** Every so many looks, what is left without rubbish: to collect it all holds the process up. */
const COLLECT_EVERY = 6
/** So many times in all, the least of what was seen counts. */
const BUCKETS = 20

/** Looks until it is stopped; that gives the trends, by what was looked at, and how many bytes each PDF comes with. */
export function watchGrowth(stack: Stack, browser: Browser, load: MixedLoad, dataDir: string) {
  const seen: { atMs: number; values: Record<string, number> }[] = []
  const startedAt = performance.now()
  let looking: Promise<void> = Promise.resolve()

  async function look(): Promise<void> {
    const [relay, server] = [await heldBy(stack.relay.pid ?? 0), await heldBy(stack.server.pid ?? 0)]
    const processes = await browser.processes()
    const extension = processes.find(({ isExtension }) => isExtension)
    const dist = await filesIn(join(dataDir, 'dist'))
    const values = {
      ...named('relay', relay),
      ...named('server', server),
      ...(seen.length % COLLECT_EVERY === 0 ? await heaps(stack) : {}),
      browserProcesses: processes.length,
      extensionMiB: extension ? await residentMiB(extension.id) : Number.NaN,
      extensionStorageBytes: load.extensionBytes(),
      // Not the record of who looked at what, which has a bound of its own.
      storeBytes: bytesOf((await filesIn(join(dataDir, 'relay'))).filter(({ name }) => name.includes('.sqlite'))),
      // A day's, or 5,000: more than are made here, so that they are counted instead.
      distBytes: bytesOf(dist),
      pdfs: dist.filter(({ name }) => name.endsWith('.pdf')).length,
    }
    seen.push({ atMs: performance.now() - startedAt, values })
  }

  const timer = setInterval(() => {
    // What is under way is over before the next, and a browser whose worker has just been stopped is seen next time.
    looking = looking.then(look).catch(() => undefined)
  }, LOOK_EVERY_MS)

  return {
    async stop(): Promise<{ trends: Record<string, Trend>; bytesPerRun: { first: number; second: number } }> {
      clearInterval(timer)
      await looking
      const wholeMs = performance.now() - startedAt
      const of = (name: string) =>
        seen.flatMap(({ atMs, values }) => {
          const value = values[name] ?? Number.NaN
          return Number.isNaN(value) ? [] : [{ atMs, value }]
        })
      const names = new Set(seen.flatMap(({ values }) => Object.keys(values)))
      const trends = Object.fromEntries([...names].map((name) => [name, trendOf(of(name), wholeMs / BUCKETS)]))
      const half = seen.length / 2
      const perRun = (some: typeof seen) =>
        median(some.map(({ values }) => (values.distBytes ?? 0) / (values.pdfs ?? 0)))
      return { trends, bytesPerRun: { first: perRun(seen.slice(0, half)), second: perRun(seen.slice(half)) } }
    },
  }
}

function named(name: string, { residentMiB, files, sockets, threads, children }: Awaited<ReturnType<typeof heldBy>>) {
  return {
    [`${name}MiB`]: residentMiB,
    [`${name}Files`]: files,
    [`${name}Sockets`]: sockets,
    [`${name}Threads`]: threads,
    [`${name}Children`]: children,
  }
}

/** Resident memory is also what the collector has not got round to, and what it keeps for later: this is neither. */
async function heaps({ relay, server }: Stack): Promise<Record<string, number>> {
  const [ofRelay, ofServer] = await Promise.all([heapOf(relay), heapOf(server)])
  return {
    ...{ relayHeapMiB: ofRelay.heapMiB, relayExternalMiB: ofRelay.externalMiB },
    ...{ serverHeapMiB: ofServer.heapMiB, serverExternalMiB: ofServer.externalMiB },
  }
}

async function filesIn(folder: string): Promise<{ name: string; size: number }[]> {
  const names = await readdir(folder)
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)))
  return names.map((name, index) => ({ name, size: sizes[index]?.isFile() ? sizes[index].size : 0 }))
}

const bytesOf = (files: readonly { size: number }[]) => files.reduce((sum, { size }) => sum + size, 0)
