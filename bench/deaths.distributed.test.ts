import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Deployed, type Part, startDeployed } from '../ops/deployed.ts'
import { dieAmid, isClear } from './deaths.ts'

const missing = (process.env.MISSING_ENGINES ?? '').split(',')
/** More than two servers work on at once. */
const RUNS = 15
const PARTS: Part[] = [
  'nginx',
  'a relay',
  'a server',
  'Redis',
  'the Collector',
  'a sampler',
  'Jaeger of the window',
  'Jaeger of what is kept',
]

describe.skipIf(['Redis', 'nginx', 'Collector', 'Jaeger'].some((name) => missing.includes(name)))(
  `When one process is killed amid ${RUNS} runs, and started again`,
  () => {
    let system: Deployed
    beforeAll(async () => {
      system = await startDeployed()
    })
    afterAll(() => system?.stop())

    test.each(PARTS)(
      'each has a clear end and a trace, and what was to be kept is: %s',
      { timeout: 420_000 },
      async (part) => {
        const death = await dieAmid(system, part, RUNS, 0)
        expect(Object.keys(death.fates).filter((fate) => !isClear(fate))).toEqual([])
        expect(death.unresolved, 'traces that the console does not know').toBe(0)
        // Those that are to fail, those that are reported.
        expect(death.promised).toBeGreaterThanOrEqual((RUNS / 5) * 2)
        expect(death.promisedMissing, 'kept traces that are not whole where they stay').toBe(0)
        // Nobody was promised these, and a sampler that dies forgets them.
        if (part !== 'a sampler') expect(death.inRatioMissing).toBe(0)
      },
    )
  },
)
