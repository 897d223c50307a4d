/** What a span costs the relay to take in: sent, checked, scrubbed and on the disk, by seconds of its CPU's time. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { argumentsOf } from '../ops/stack.ts'
import type { Measured, Target } from './bench.ts'
import { type Duty, measureCollector } from './collector.ts'
import { type Cost, costOf, headersOf, inFolder, type Load } from './cost.ts'
import { CONNECTIONS } from './load.ts'
import { median } from './median.ts'
import { bodiesOf } from './otlp-payload.ts'
import { canPin, startPinned } from './pinned-process.ts'
import { atMost } from './target.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PLENTY = 1e14
const QUOTA = `bytes=${PLENTY},spans=${PLENTY}`

type Variant = 'relay' | 'fullDecode'
type Rate = Pick<Cost, 'spansPerCpuSecond'>
type Results = Record<string, Record<Variant, Cost> & { bareWork: Rate } & Partial<Record<Duty, Cost>>>
const DUTIES: Duty[] = ['collector', 'sampling-collector']
const ENTRIES: Record<Variant, string> = { relay: 'relay/main.ts', fullDecode: 'bench/full-decode-relay.ts' }

const LOADS: Load[] = (['protobuf', 'json'] as const).flatMap((encoding) =>
  [true, false].flatMap((gzipped) => [512, 32].map((batch) => ({ encoding, gzipped, batch }))),
)
/** A bad day: what failed is copied to where it is kept for long, which costs more than taking it in. */
LOADS.push({ encoding: 'protobuf', gzipped: true, batch: 512, failedIn: 20 })

/**
 * Measures every load `rounds` times, in turn the relay, the baseline, and what both cannot do without, each from an
 * empty store. Needs Linux.
 */
export async function benchIngest(rounds: number): Promise<Measured> {
  const results: Results = {}
  for (const load of LOADS) {
    const costs: Record<Variant, Cost[]> = { relay: [], fullDecode: [] }
    const collectors: Record<Duty, Cost[]> = { collector: [], 'sampling-collector': [] }
    const bare: number[] = []
    const bodies = bodiesOf(load)
    for (let round = 0; round < rounds; round++) {
      for (const variant of ['relay', 'fullDecode'] as const) costs[variant].push(await measure(variant, load, bodies))
      bare.push(await measureBareWork(load))
      const { OTELCOL } = process.env
      for (const duty of OTELCOL ? DUTIES : []) {
        collectors[duty].push(await measureCollector(duty, OTELCOL ?? '', load, bodies))
      }
    }
    const { relay, fullDecode } = costs
    results[nameOf(load)] = {
      relay: medians(relay),
      fullDecode: medians(fullDecode),
      bareWork: { spansPerCpuSecond: median(bare) },
      ...Object.fromEntries(
        DUTIES.filter((duty) => collectors[duty].length > 0).map((duty) => [duty, medians(collectors[duty])]),
      ),
    }
  }
  return { results: { ...results, connections: CONNECTIONS, pinned: canPin }, targets: targetsOf(results) }
}

function targetsOf(results: Results): Target[] {
  const rate = (name: string, variant: Variant | 'bareWork' = 'relay') =>
    results[name]?.[variant]?.spansPerCpuSecond ?? Number.NaN
  const most = (name: keyof Cost) => Math.max(...Object.values(results).map(({ relay }) => relay[name]))
  const [large, small, json] = ['protobuf gzip 512', 'protobuf gzip 32', 'json gzip 512'] as const
  const targets = [
    atMost(`microseconds of CPU a span, ${large} (450,000 a second)`, 1e6 / rate(large), 1e6 / 450_000),
    atMost(`microseconds of CPU a span, ${small} (160,000 a second)`, 1e6 / rate(small), 1e6 / 160_000),
    atMost(`microseconds of CPU a span, ${json} (200,000 a second)`, 1e6 / rate(json), 1e6 / 200_000),
    atMost(`CPU, to that with full decoding, ${large}`, rate(large, 'fullDecode') / rate(large), 1 / 4),
    atMost(`CPU, to that of unpacking, scanning and writing alone, ${large}`, rate(large, 'bareWork') / rate(large), 2),
    atMost('peak memory of any load, MiB', most('peakMiB'), 300),
    atMost(`bytes a span on the disk, ${large}`, results[large]?.relay?.diskBytesPerSpan ?? Number.NaN, 120),
  ]
  const digits = (number: number) => Number(number.toPrecision(4))
  return targets.map((target) => ({ ...target, value: digits(target.value), limit: digits(target.limit) }))
}

async function measure(variant: Variant, load: Load, bodies: Uint8Array[]): Promise<Cost> {
  const key = randomBytes(32).toString('hex')
  const headers = { ...headersOf(load), authorization: `Bearer ${key}` }
  return inFolder(async (folder) => {
    const relay = await startPinned([process.execPath, ...argumentsOf('relay', ENTRIES[variant])], {
      cwd: ROOT,
      logPath: join(folder, 'log'),
      env: {
        RELAY_PORT: '0',
        RELAY_METRICS_PORT: '0',
        RELAY_STORE: join(folder, 'store'),
        RELAY_SERVICE_KEYS: `bench:${key}`,
        RELAY_STORE_MAX_BYTES: String(PLENTY),
        RELAY_QUOTA_INSTALL: QUOTA,
        RELAY_QUOTA_ADDRESS: QUOTA,
        RELAY_QUOTA_OVERALL: QUOTA,
      },
    })
    const ready = once(relay.child, 'message').then(([{ url }]) => `${url}/v1/traces`)
    return costOf(relay, ready, load, { headers, bodies, folder })
  })
}

async function measureBareWork(load: Load): Promise<number> {
  return inFolder(async (folder) => {
    const { child, stop } = await startPinned([process.execPath, 'bench/bare-work.ts'], {
      cwd: ROOT,
      logPath: join(folder, 'log'),
      env: { BARE_WORK: JSON.stringify({ load, folder }) },
    })
    try {
      const exited = once(child, 'exit').then(() => Promise.reject(new Error('What is measured has ended.')))
      // Only while it is waited for below.
      exited.catch(() => {})
      const [measured] = await Promise.race([once(child, 'message'), exited])
      return (measured as Rate).spansPerCpuSecond
    } finally {
      await stop()
    }
  })
}

function medians(costs: Cost[]): Cost {
  const of = (name: keyof Cost) => median(costs.map((cost) => cost[name]))
  return {
    spansPerCpuSecond: of('spansPerCpuSecond'),
    peakMiB: of('peakMiB'),
    diskBytesPerSpan: of('diskBytesPerSpan'),
  }
}

const nameOf = ({ encoding, gzipped, batch, failedIn }: Load) =>
  `${encoding} ${gzipped ? 'gzip' : 'plain'} ${batch}${failedIn ? `, one trace in ${failedIn} failed` : ''}`
