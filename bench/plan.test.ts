import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { capacityPage } from './capacity-page.ts'
import { ASSUMED, BOUNDS, boundsOfCell, type Costs, planFor } from './plan.ts'
import { storedResults } from './stored-result.ts'

const COSTS: Costs = {
  runCpu: {
    nginx: 0.002,
    relays: 0.02,
    servers: 0.2,
    redis: 0.004,
    collector: 0.01,
    samplers: 0.01,
    window: 0.02,
    kept: 0.01,
  },
  lookUpCpu: { nginx: 0.001, relays: 0.01, servers: 0, redis: 0, collector: 0, samplers: 0, window: 0.01, kept: 0.01 },
  ...{ spansPerRun: 30, bytesPerSpan: 500, redisBytesPerRun: 60_000, pdfBytes: 30_000 },
}
const plan = (installs: number, costs = COSTS, assumed = ASSUMED) => planFor(installs, costs, assumed, BOUNDS)

it('many installs are many cells, each no larger than what bounds it first', () => {
  const { cells, runsPerSecond, machines } = plan(100_000_000)
  const most = Math.min(...Object.values(boundsOfCell(COSTS, ASSUMED, BOUNDS)))
  expect(runsPerSecond.peak / cells).toBeLessThanOrEqual(most)
  expect(runsPerSecond.peak / (cells - 1)).toBeGreaterThan(most)
  expect(machines / cells).toBeGreaterThanOrEqual(3)
  expect(plan(10_000)).toMatchObject({ cells: 1, serversPerZone: 1, relaysPerZone: 1 })
})

it('money follows what is used: twice the tokens, twice the model; a thousand runs cost less of many', () => {
  const twice = { ...ASSUMED, tokensPerRun: { input: 8_000, output: 3_000 } }
  const [once, more] = [plan(1_000_000).money, plan(1_000_000, COSTS, twice).money]
  expect(more.model / once.model).toBeCloseTo(2, 6)
  expect(more.machines).toBe(once.machines)
  expect(once.total).toBeCloseTo(once.machines + once.disk + once.egress + once.model, 6)
  expect(plan(10_000).money.per1000Runs).toBeGreaterThan(plan(1_000_000).money.per1000Runs * 2)
})

it('a plan holds when a zone goes, and gets more servers where arithmetic alone would be too few', () => {
  const slow = { ...COSTS, runCpu: { ...COSTS.runCpu, servers: 1.2 } }
  for (const costs of [COSTS, slow]) {
    const { simulated, serversPerZone } = plan(20_000_000, costs)
    expect(serversPerZone).toBeGreaterThan(0)
    expect(simulated.zoneGone).toMatchObject({ refused: 0 })
    expect(simulated.zoneGone.takenOver).toBeGreaterThan(0)
    expect(simulated.zoneGone.waitMs.p99).toBeLessThanOrEqual(20_000)
    expect(simulated.well.waitMs.p99).toBeLessThanOrEqual(1_000)
  }
})

it('CAPACITY.md is what the bench writes of its result in the tree', () => {
  const result = storedResults().get('capacity')
  const page = new URL('../ops/deploy/CAPACITY.md', import.meta.url)
  expect(existsSync(page)).toBe(result !== undefined)
  if (result) expect(readFileSync(page, 'utf8'), 'run: npm run bench -- report').toBe(capacityPage(result))
})
