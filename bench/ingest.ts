/** What a span costs the relay to take in: sent, checked, scrubbed and on the disk, by seconds of its CPU's time. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { argumentsOf } from '../ops/stack.ts'
import type { Measured, Target } from './bench.ts'
import { measureCollector } from './collector.ts'
import { type Cost, costOf, headersOf, inFolder, type Load } from './cost.ts'
import { CONNECTIONS } from './load.ts'
import { median } from './median.ts'
import { otlpPayload } from './otlp-payload.ts'
import { canPin, startPinned } from './pinned-process.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Sent again and again: so many are made in seconds, and are many more than a cache holds. */
const DIFFERENT_SPANS = 65_536
const PLENTY = 1e14
const QUOTA = `bytes=${PLENTY},spans=${PLENTY}`

type Variant = 'relay' | 'fullDecode'
const ENTRIES: Record<Variant, string> = { relay: 'relay/main.ts', fullDecode: 'bench/full-decode-relay.ts' }

const LOADS: Load[] = (['protobuf', 'json'] as const).flatMap((encoding) =>
  [true, false].flatMap((gzipped) => [512, 32].map((batch) => ({ encoding, gzipped, batch }))),
)
/** A bad day: what failed is copied to where it is kept for long, which costs more than taking it in. */
LOADS.push({ encoding: 'protobuf', gzipped: true, batch: 512, failedIn: 20 })

/** Measures every load `rounds` times, relay and baseline in turn, each from an empty store. Needs Linux. */
export async function benchIngest(rounds: number): Promise<Measured> {
  const results: Record<string, Record<string, Cost>> = {}
  for (const load of LOADS) {
    const costs: Record<Variant, Cost[]> = { relay: [], fullDecode: [] }
    const collector: Cost[] = []
    const bodies = bodiesOf(load)
    for (let round = 0; round < rounds; round++) {
      for (const variant of ['relay', 'fullDecode'] as const) costs[variant].push(await measure(variant, load, bodies))
      if (process.env.OTELCOL) collector.push(await measureCollector(process.env.OTELCOL, load, bodies))
    }
    const { relay, fullDecode } = costs
    results[nameOf(load)] = {
      relay: medians(relay),
      fullDecode: medians(fullDecode),
      ...(collector.length > 0 ? { collector: medians(collector) } : {}),
    }
  }
  return { results: { ...results, connections: CONNECTIONS, pinned: canPin }, targets: targetsOf(results) }
}

function targetsOf(results: Record<string, Record<string, Cost>>): Target[] {
  const rate = (name: string, variant: Variant = 'relay') => results[name]?.[variant]?.spansPerCpuSecond ?? Number.NaN
  const most = (name: keyof Cost) => Math.max(...Object.values(results).map(({ relay }) => relay?.[name] ?? Number.NaN))
  const [large, small, json] = ['protobuf gzip 512', 'protobuf gzip 32', 'json gzip 512'] as const
  return [
    atMost(`microseconds of CPU a span, ${large} (450,000 a second)`, 1e6 / rate(large), 1e6 / 450_000),
    atMost(`microseconds of CPU a span, ${small} (160,000 a second)`, 1e6 / rate(small), 1e6 / 160_000),
    atMost(`microseconds of CPU a span, ${json} (200,000 a second)`, 1e6 / rate(json), 1e6 / 200_000),
    atMost(`CPU, to that with full decoding, ${large}`, rate(large, 'fullDecode') / rate(large), 1 / 4),
    atMost('peak memory of any load, MiB', most('peakMiB'), 300),
    atMost(`bytes a span on the disk, ${large}`, results[large]?.relay?.diskBytesPerSpan ?? Number.NaN, 120),
  ]
}

function atMost(claim: string, value: number, limit: number): Target {
  const digits = (number: number) => Number(number.toPrecision(4))
  return { claim, value: digits(value), limit: digits(limit), ok: value <= limit }
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

function bodiesOf({ encoding, gzipped, batch, failedIn }: Load): Uint8Array[] {
  return Array.from({ length: DIFFERENT_SPANS / batch }, (_, index) => {
    const body = otlpPayload(batch, encoding, index + 1, failedIn)
    return gzipped ? gzipSync(body) : body
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
