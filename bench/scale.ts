/**
 * One relay and one server in front of shared engines, and two of each, on the same cores in turn; and beside them one of each
 * with everything in its own files. What replicas cost where there is no second machine: they are for machines, and for deaths.
 */

import { startDeployed } from '../ops/deployed.ts'
import { newRunClient } from '../ops/run-client.ts'
import { setUpDeployed } from '../ops/setup/deployed.ts'
import { Progress } from '../ops/setup/progress.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import type { Measured } from './bench.ts'
import { headersOf } from './cost.ts'
import { median } from './median.ts'
import { bodiesOf } from './otlp-payload.ts'
import { percentile } from './percentile.ts'
import { insist } from './person.ts'
import { atMost } from './target.ts'

/** People who press Generate again as soon as they have their PDF; senders who send again as soon as they are answered. */
const PEOPLE = 8
const RUNS = 80
const SENDERS = 8
const REQUESTS = 240
const WARM_UP = 8
const PATIENCE_MS = 120_000
const LOAD = { encoding: 'protobuf', gzipped: true, batch: 512 } as const

const VARIANTS = {
  embedded: () => startTemporaryStack({ toolchainPath: toolchainPath() }),
  'one replica': async () => (await startDeployed({ replicas: 1 })).stack,
  'two replicas': async () => (await startDeployed()).stack,
}
type Variant = keyof typeof VARIANTS

/** A second's worth, and milliseconds. */
interface Rate {
  perSecond: number
  p50: number
  p99: number
}
interface Scale {
  runs: Rate
  /** Requests of 512 spans. */
  ingest: Rate
}

/** Every variant `rounds` times, in turn, each from empty stores. */
export async function benchScale(rounds: number): Promise<Measured> {
  await setUpDeployed(new Progress(process.stderr))
  const measured: Record<Variant, Scale[]> = { embedded: [], 'one replica': [], 'two replicas': [] }
  for (let round = 0; round < rounds; round++) {
    for (const variant of Object.keys(VARIANTS) as Variant[]) {
      const stack = await VARIANTS[variant]()
      try {
        measured[variant].push({ runs: await rateOfRuns(stack), ingest: await rateOfIngest(stack) })
      } finally {
        await stack.stop()
      }
    }
  }
  const ratio = (of: (scale: Scale) => number, one: Variant, other: Variant) =>
    Number(median(measured[one].map((scale, round) => of(scale) / of(measured[other][round] as Scale))).toPrecision(3))
  const targets = [
    atMost(
      'runs a second, one replica to two',
      ratio(({ runs }) => runs.perSecond, 'one replica', 'two replicas'),
      1.25,
    ),
    atMost(
      'p99 of a run, two replicas to one',
      ratio(({ runs }) => runs.p99, 'two replicas', 'one replica'),
      1.5,
    ),
    atMost(
      'spans a second, one replica to two',
      ratio((of) => of.ingest.perSecond, 'one replica', 'two replicas'),
      1.25,
    ),
    atMost(
      'p99 of a request of spans, two to one',
      ratio(({ ingest }) => ingest.p99, 'two replicas', 'one replica'),
      1.5,
    ),
    atMost(
      'runs a second, embedded to one replica',
      ratio(({ runs }) => runs.perSecond, 'embedded', 'one replica'),
      1.5,
    ),
  ]
  return { results: { people: PEOPLE, senders: SENDERS, medians: mediansOf(measured) }, targets }
}

/** Throws an Error when one does not end in its PDF. */
async function rateOfRuns(stack: Stack): Promise<Rate> {
  const client = await newRunClient(stack.relayUrl)
  const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
  const work = [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }]
  const run = async () => {
    const { id, fate } = await insist(
      client,
      { profile: { basics: { name: 'Ada Quill' }, work }, posting },
      PATIENCE_MS,
    )
    if (fate !== 'done') throw new Error(`The run ${id} ended as ${fate}.`)
  }
  await rateOf(PEOPLE, WARM_UP, run)
  return rateOf(PEOPLE, RUNS, run)
}

/** Sent as they are answered: who is told to wait waits, and sends again. */
async function rateOfIngest(stack: Stack): Promise<Rate> {
  const bodies = bodiesOf(LOAD)
  const headers = { ...headersOf(LOAD), authorization: `Bearer ${stack.serviceKey}` }
  let sent = 0
  const send = async () => {
    const body = new Uint8Array(bodies[sent++ % bodies.length] as Uint8Array)
    for (;;) {
      // A connection that is kept may be closed just when it is used.
      const response = await fetch(`${stack.relayUrl}/v1/traces`, { method: 'POST', headers, body }).catch(
        () => undefined,
      )
      await response?.arrayBuffer()
      if (response?.status === 200) return
      if (response && response.status !== 503 && response.status !== 429)
        throw new Error(`The relay answers ${response.status}.`)
    }
  }
  await rateOf(SENDERS, WARM_UP, send)
  return rateOf(SENDERS, REQUESTS, send)
}

/** So many at once, until `count` are done. */
async function rateOf(atOnce: number, count: number, act: () => Promise<void>): Promise<Rate> {
  const times: number[] = []
  let left = count
  const startedAt = performance.now()
  const worker = async () => {
    while (left > 0) {
      left -= 1
      const since = performance.now()
      await act()
      times.push(performance.now() - since)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const seconds = (performance.now() - startedAt) / 1_000
  return { perSecond: count / seconds, p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
}

function mediansOf(measured: Record<Variant, Scale[]>): Record<string, Scale> {
  const rate = (scales: Scale[], of: keyof Scale): Rate => ({
    perSecond: Number(median(scales.map((scale) => scale[of].perSecond)).toPrecision(3)),
    p50: median(scales.map((scale) => scale[of].p50)),
    p99: median(scales.map((scale) => scale[of].p99)),
  })
  return Object.fromEntries(
    Object.entries(measured).map(([name, scales]) => [
      name,
      { runs: rate(scales, 'runs'), ingest: rate(scales, 'ingest') },
    ]),
  )
}
