/**
 * What a run, its spans and a look-up cost, process by process, of everything in `ops/deploy`; and from that machines and money
 * for 10 thousand, 1 million and 100 million installs, each tried in a simulation that loses a zone. `ops/deploy/CAPACITY.md` is
 * written of it.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { METRICS } from '../metric-names.ts'
import { ATTR_COMPILE_CPU_TIME } from '../names.ts'
import { type Deployed, startDeployed, type Tier } from '../ops/deployed.ts'
import { newRunClient } from '../ops/run-client.ts'
import { setUpDeployed } from '../ops/setup/deployed.ts'
import { Progress } from '../ops/setup/progress.ts'
import { asSupport } from '../ops/support.ts'
import { connectRedis } from '../redis.ts'
import { createJaeger } from '../relay/engine/jaeger.ts'
import { encode, spansOf } from '../relay/otlp.ts'
import type { Measured } from './bench.ts'
import { cpuSeconds } from './held.ts'
import { ASSUMED, BOUNDS, type CapacityResults, type Costs, type Plan, planFor } from './plan.ts'
import { atMost, none } from './target.ts'

const INSTALLS = [10_000, 1_000_000, 100_000_000]
const WARM_UP = 10
const AT_ONCE = 4
/** Until what is under way after the last run has come to where it stays. */
const SETTLED_MS = 15_000
const IDLE_MS = 10_000

/** Measures so many runs and as many look-ups. Needs Linux, and the engines that `npm run test:distributed` sets up. */
export async function benchCapacity(runs: number): Promise<Measured> {
  await setUpDeployed(new Progress(process.stderr))
  const costs = await measureCosts(runs)
  const plans = INSTALLS.map((installs) => planFor(installs, costs, ASSUMED, BOUNDS))
  const sum = (tiers: readonly Tier[]) => tiers.reduce((total, tier) => total + costs.runCpu[tier], 0)
  const most = (of: (plan: Plan) => number) => Math.max(...plans.map(of))
  const digits = (value: number) => Number(value.toPrecision(4))
  return {
    results: { runs, costs, plans } satisfies CapacityResults,
    targets: [
      atMost(
        'cores for a run’s spans behind the relay, to cores for all else of it',
        digits(sum(ENGINES) / sum(OTHERS)),
        0.5,
      ),
      none(
        'simulated: runs refused with a zone gone',
        most(({ simulated }) => simulated.zoneGone.refused),
      ),
      atMost('simulated: wait of 99 in 100 runs with a zone gone, s', digits(most((plan) => p99(plan) / 1_000)), 20),
    ],
  }
}

const ENGINES: Tier[] = ['collector', 'samplers', 'window', 'kept']
const OTHERS: Tier[] = ['nginx', 'relays', 'servers', 'redis']
const p99 = ({ simulated }: Plan) => simulated.zoneGone.waitMs.p99

async function measureCosts(runs: number): Promise<Costs> {
  const model = await startOpenAiEndpoint()
  const env = { LLM_BASE_URL: model.baseUrl, LLM_API_KEY: 'key', LLM_MODEL: 'm-1' }
  const system = await startDeployed({ env })
  const redis = connectRedis(system.redisUrl)
  const held = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  try {
    await makeRuns(system, WARM_UP)
    await delay(SETTLED_MS)
    const idle = await spent(system, () => delay(IDLE_MS))
    const before = await held()
    let made: Awaited<ReturnType<typeof makeRuns>> = []
    const spansBefore = await spansTaken(system)
    const ofRuns = await spent(system, async () => {
      made = await makeRuns(system, runs)
      await delay(SETTLED_MS)
    })
    const redisBytesPerRun = ((await held()) - before) / runs
    const spansPerRun = ((await spansTaken(system)) - spansBefore) / runs
    const spans = await spansOfRuns(system, made)
    const ofLookUps = await spent(system, async () => {
      for (const { id } of made) await lookUp(system, id)
    })
    const each = (measured: Spent): Record<Tier, number> =>
      mapTiers(measured.cpu, (cpu, tier) =>
        Math.max(0, (cpu - (idle.cpu[tier] * measured.seconds) / idle.seconds) / runs),
      )
    const runCpu = each(ofRuns)
    // Sandboxed, it is in nobody's count of its children.
    runCpu.servers += spans.compileCpu / runs
    return {
      ...{ runCpu, lookUpCpu: each(ofLookUps), redisBytesPerRun },
      spansPerRun,
      bytesPerSpan: spans.bytes / spans.count,
      pdfBytes: made.reduce((sum, { pdfBytes }) => sum + pdfBytes, 0) / runs,
    }
  } finally {
    redis.disconnect()
    await system.stop()
    await model.close()
  }
}

/** Throws an Error when one does not end in a PDF. */
async function makeRuns({ stack }: Deployed, runs: number): Promise<{ id: string; pdfBytes: number }[]> {
  const client = await newRunClient(stack.relayUrl)
  const profile = JSON.parse(readFileSync(new URL('../fixtures/profiles/long.json', import.meta.url), 'utf8'))
  const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
  const made: { id: string; pdfBytes: number }[] = []
  let left = runs
  const worker = async () => {
    while (left-- > 0) {
      const { id, events } = await client.run({ profile, posting })
      if (events.at(-1)?.type !== 'done') throw new Error(`The run ${id} failed: ${JSON.stringify(events.at(-1))}`)
      made.push({ id, pdfBytes: await client.pdfBytes(id) })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return made
}

async function lookUp({ stack }: Deployed, id: string): Promise<void> {
  const response = await fetch(`${stack.relayUrl}/api/traces/${id}`, { headers: asSupport(stack.relayUrl) })
  if (!response.ok) throw new Error(`The console answers ${response.status} for ${id}.`)
  await response.arrayBuffer()
}

/** By the relays, from whomever: not all requests of a run without a browser tell of which they are. */
async function spansTaken({ pairs }: Deployed): Promise<number> {
  const counts = pairs.map(async ({ metricsUrls }) =>
    sumOf(await scrape(metricsUrls.relay), METRICS.relaySpans.name, { result: 'stored' }),
  )
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

async function spansOfRuns({ windowUrl }: Deployed, made: readonly { id: string }[]) {
  const store = createJaeger({ url: windowUrl, headers: {} })
  const sum = { count: 0, bytes: 0, compileCpu: 0 }
  for (const { id } of made) {
    const data = await store.trace(id)
    if (!data) throw new Error(`The trace ${id} is not in the store.`)
    sum.bytes += encode(data, 'protobuf').length
    for (const { attributes = [] } of spansOf(data)) {
      sum.count += 1
      sum.compileCpu += Number(attributes.find(({ key }) => key === ATTR_COMPILE_CPU_TIME)?.value?.doubleValue ?? 0)
    }
  }
  return sum
}

interface Spent {
  seconds: number
  cpu: Record<Tier, number>
}

/** What every tier used of the cores meanwhile. */
async function spent(system: Deployed, act: () => Promise<unknown>): Promise<Spent> {
  const now = () =>
    mapTiers(system.processes(), (pids) => pids.flatMap(withChildren).reduce((s, pid) => s + cpuSeconds(pid), 0))
  const [before, since] = [now(), performance.now()]
  await act()
  const after = now()
  return { seconds: (performance.now() - since) / 1_000, cpu: mapTiers(after, (cpu, tier) => cpu - before[tier]) }
}

/** nginx works in its children. */
function withChildren(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const children = tasks.flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
  return [pid, ...children.filter((child) => child.trim() !== '').map(Number)]
}

function mapTiers<T, U>(of: Record<Tier, T>, make: (value: T, tier: Tier) => U): Record<Tier, U> {
  return Object.fromEntries(Object.entries(of).map(([tier, value]) => [tier, make(value, tier as Tier)])) as Record<
    Tier,
    U
  >
}
