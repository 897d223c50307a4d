/**
 * From what one run costs to machines and money for a number of installs: cells that share nothing, each with its servers and
 * relays in three zones, of which one may be gone in the busiest hour. What comes out is tried in the simulation of a cell.
 */

import type { Tier } from '../ops/deployed.ts'
import { arrivals, type Demand, peakRate, peakToMean, seeded } from './demand.ts'
import { type Fleet, type Simulated, simulate } from './fleet.ts'

/** What has been measured, of everything in `ops/deploy` on one machine. */
export interface Costs {
  /** Seconds of a core for one run, and for one look-up in the console, by tier. */
  runCpu: Record<Tier, number>
  lookUpCpu: Record<Tier, number>
  spansPerRun: number
  /** Of a span in OTLP, before any compression. */
  bytesPerSpan: number
  redisBytesPerRun: number
  pdfBytes: number
}

/** What nobody has measured. */
export interface Assumptions {
  demand: Omit<Demand, 'installs'>
  modelMs: number
  modelSpread: number
  tokensPerRun: { input: number; output: number }
  /** Of all runs: what fails or is reported, and what support looks up. */
  keptShare: number
  lookUpShare: number
  /** What a store makes of a byte of OTLP, with its indexes. */
  storedPerByte: number
  windowDays: number
  keptDays: number
  pdfDays: number
  /** Of a core, in the busiest hour with a zone gone. */
  busyAtMost: number
  /** Of a kind of machine. */
  machine: { cores: number; memoryGiB: number }
  prices: {
    machineMonth: number
    diskGiBMonth: number
    egressGiB: number
    inputTokens: number
    outputTokens: number
  }
}

/** What the code allows. */
export interface Bounds {
  /** Runs under way in one Redis. */
  mostOpen: number
  placesPerServer: number
  coresPerServer: number
  foundAfterMs: readonly [number, number]
}

/** Nobody has measured these: they are here to be replaced. Money in dollars. */
export const ASSUMED: Assumptions = {
  demand: { runsPerWeek: 0.5, perSitting: 3, pauseMs: 120_000, skew: 1.5 },
  ...{ modelMs: 8_000, modelSpread: 0.5, tokensPerRun: { input: 4_000, output: 1_500 } },
  ...{ keptShare: 0.045, lookUpShare: 0.002, storedPerByte: 1.5 },
  ...{ windowDays: 1, keptDays: 30, pdfDays: 1, busyAtMost: 0.6 },
  machine: { cores: 8, memoryGiB: 32 },
  prices: { machineMonth: 290, diskGiBMonth: 0.08, egressGiB: 0.09, inputTokens: 0.25e-6, outputTokens: 2e-6 },
}
/** Of the code as it is, with two cores for a server and LLM_CONCURRENCY=40. */
export const BOUNDS: Bounds = {
  ...{ mostOpen: 1_000, placesPerServer: 42, coresPerServer: 2, foundAfterMs: [10_000, 18_000] },
}

export interface Plan {
  installs: number
  runsPerSecond: { mean: number; peak: number }
  spansPerSecond: number
  cells: number
  /** Of one cell. */
  serversPerZone: number
  relaysPerZone: number
  /** Cores of the busiest hour in each cell, by tier, all zones there. */
  coresOf: Record<Tier, number>
  simulated: { well: Simulated; zoneGone: Simulated }
  machines: number
  diskGiB: number
  redisGiB: number
  money: { machines: number; disk: number; egress: number; model: number; total: number; per1000Runs: number }
}

export interface CapacityResults {
  runs: number
  costs: Costs
  plans: Plan[]
}

export const ZONES = 3
const MONTH_S = 30.4 * 86_400
const GIB = 2 ** 30
/** Of the bound of runs under way, in the busiest hour: the rest is for a zone's runs, which take twice as long. */
const OPEN_SHARE = 0.5
/** Of one core: Redis has no more, and neither has the part of a Jaeger that writes. */
const ONE_PROCESS_SHARE = 0.5
const SIMULATED_MS = 30 * 60_000
const OUTAGE = { atMs: 10 * 60_000, forMs: 10 * 60_000 }
/** Runs wait no longer than this beyond their own time, 99 of 100, with a zone gone or not. */
export const MOST_WAIT_MS = { well: 1_000, zoneGone: 20_000 }
const STATELESS: Tier[] = ['nginx', 'relays', 'servers']

export function planFor(installs: number, costs: Costs, assumed: Assumptions, bounds: Bounds): Plan {
  const demand: Demand = { ...assumed.demand, installs }
  const peak = peakRate(demand)
  const cells = Math.ceil(peak / mostPerCell(costs, assumed, bounds))
  const perCell = peak / cells
  // One zone less must do, and a place is held as long as the model talks.
  const cores = (tier: Tier) => (perCell * costs.runCpu[tier]) / assumed.busyAtMost
  const left = ZONES - 1
  const openMs = assumed.modelMs * Math.exp(assumed.modelSpread ** 2 / 2) + costs.runCpu.servers * 1_000
  const places = (perCell * openMs) / 1_000 / assumed.busyAtMost
  let serversPerZone = Math.max(
    1,
    Math.ceil(cores('servers') / bounds.coresPerServer / left),
    Math.ceil(places / bounds.placesPerServer / left),
  )
  let simulated = tried(serversPerZone)
  while (!isGoodEnough(simulated)) {
    serversPerZone += 1
    simulated = tried(serversPerZone)
  }
  // A relay is one thread.
  const relaysPerZone = Math.max(1, Math.ceil(cores('relays') / left))

  function tried(servers: number): Plan['simulated'] {
    const fleet: Fleet = {
      ...{ zones: ZONES, serversPerZone: servers, places: bounds.placesPerServer, cores: bounds.coresPerServer },
      ...{ modelMs: assumed.modelMs, modelSpread: assumed.modelSpread, cpuMs: costs.runCpu.servers * 1_000 },
      ...{ mostOpen: bounds.mostOpen, foundAfterMs: bounds.foundAfterMs },
    }
    const times = arrivals(demand, perCell, SIMULATED_MS, seeded(1))
    return { well: simulate(fleet, times, seeded(2)), zoneGone: simulate(fleet, times, seeded(2), OUTAGE) }
  }

  const coresOf = Object.fromEntries(
    (Object.keys(costs.runCpu) as Tier[]).map((tier) => [
      tier,
      cores(tier) * (STATELESS.includes(tier) ? ZONES / left : 1),
    ]),
  ) as Plan['coresOf']
  const own = ZONES * (serversPerZone * bounds.coresPerServer + relaysPerZone)
  // Redis, and each Jaeger, twice: the one that stands by needs the room as well.
  const others = (['nginx', 'collector', 'samplers', 'redis', 'window', 'kept'] as const).reduce(
    (sum, tier) => sum + Math.max(ZONES / 2, coresOf[tier] * 2),
    0,
  )
  const machines = cells * Math.ceil(Math.max(ZONES, (own + others) / assumed.machine.cores))

  const mean = peak / peakToMean()
  const stored = mean * 86_400 * costs.spansPerRun * costs.bytesPerSpan * assumed.storedPerByte
  const diskGiB = (2 * stored * (assumed.windowDays + assumed.keptShare * assumed.keptDays)) / GIB
  const redisGiB = (2 * mean * 86_400 * assumed.pdfDays * costs.redisBytesPerRun) / GIB
  const { prices, tokensPerRun } = assumed
  const runsPerMonth = mean * MONTH_S
  const money = {
    machines: machines * prices.machineMonth + (redisGiB / assumed.machine.memoryGiB) * prices.machineMonth,
    disk: diskGiB * prices.diskGiBMonth,
    egress: ((runsPerMonth * costs.pdfBytes) / GIB) * prices.egressGiB,
    model: runsPerMonth * (tokensPerRun.input * prices.inputTokens + tokensPerRun.output * prices.outputTokens),
  }
  const total = Object.values(money).reduce((sum, each) => sum + each, 0)
  return {
    ...{ installs, runsPerSecond: { mean, peak }, spansPerSecond: peak * costs.spansPerRun },
    ...{ cells, serversPerZone, relaysPerZone, coresOf, simulated, machines, diskGiB, redisGiB },
    money: { ...money, total, per1000Runs: (total / runsPerMonth) * 1_000 },
  }
}

/** As many as one machine bears in the busiest hour: a relay is one thread, servers are as many as have room. */
export function installsOfOne(costs: Costs): number {
  const { relays, servers } = costs.runCpu
  const rate = ASSUMED.busyAtMost * Math.min(1 / relays, ASSUMED.machine.cores / (relays + servers))
  return rate / peakRate({ ...ASSUMED.demand, installs: 1 })
}

/** Runs a second that one Redis, and one Jaeger with the storage that is in it, bear; and what bounds it. */
export function boundsOfCell(costs: Costs, assumed: Assumptions, bounds: Bounds): Record<string, number> {
  const openS = (assumed.modelMs * Math.exp(assumed.modelSpread ** 2 / 2)) / 1_000 + costs.runCpu.servers
  return {
    'runs under way in one Redis': (bounds.mostOpen * OPEN_SHARE) / openS,
    'the one core of a Redis': ONE_PROCESS_SHARE / costs.runCpu.redis,
    'a Jaeger of one machine': (assumed.machine.cores * ONE_PROCESS_SHARE) / costs.runCpu.window,
  }
}

const mostPerCell = (...of: Parameters<typeof boundsOfCell>) => Math.min(...Object.values(boundsOfCell(...of)))

function isGoodEnough({ well, zoneGone }: Plan['simulated']): boolean {
  return (
    well.refused + zoneGone.refused === 0 &&
    well.waitMs.p99 <= MOST_WAIT_MS.well &&
    zoneGone.waitMs.p99 <= MOST_WAIT_MS.zoneGone
  )
}
