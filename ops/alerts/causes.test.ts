import { setTimeout as pass } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prometheusPrograms } from '../setup/prometheus.ts'
import { asSupport } from '../support.ts'
import { setUpCauses } from './broken/causes.ts'
import { readDocuments } from './document.ts'
import { type Proof, startProof } from './proof.ts'

/** Those that take seconds; `npm run bench -- alerts` has them all, and a longer healthy period. */
const CAUSES = [
  'LaTeX with an error, to /compile',
  'a Tectonic that crashes',
  'a Tectonic that leaves a damaged PDF',
  'more runs than the relay takes in an hour',
  'tokens that expired two hours ago',
  'tokens that the relay has not signed',
  'a receiver of webhooks that answers 500',
  'a receiver of webhooks that answers 410',
  'more spans than a store has room for, and no backend',
  'a file of the store that is damaged',
  'more runs at once than are compiled at once',
]

describe('real stacks, watched by a Prometheus that lives 60 times as fast', () => {
  const closing: (() => unknown)[] = []
  let place: Awaited<ReturnType<typeof setUpCauses>>
  let proof: Proof

  beforeAll(async () => {
    place = await setUpCauses(closing)
    proof = await startProof(await prometheusPrograms(), readDocuments(), place.targets)
    closing.push(() => proof.close())
    place.startTraffic()
    // Five stacks, each after the other.
  }, 300_000)
  afterAll(async () => {
    for (const close of closing.reverse()) await close()
  })

  it('tell of nothing while all is well', async () => {
    await pass(15_000)
    expect(await proof.query('sum(increase(pass_runs_total{outcome="ok",synthetic="false"}[15s])) > 1')).toHaveLength(1)
    expect(proof.seen()).toEqual([])
  })

  it.each(['pass_stage_duration_seconds_bucket', 'pass_e2e_duration_seconds_bucket'])(
    'open the trace behind a point of %s in the console, as Prometheus has scraped it',
    async (metric) => {
      const [traceId] = await proof.tracesOf(`${metric}{job="pass-ats-relay",outcome="ok",synthetic="false"}`)
      expect(traceId).toMatch(/^[0-9a-f]{32}$/)
      const page = await fetch(`${place.relayUrl}/support/${traceId}`, { headers: asSupport(place.relayUrl) })
      expect(page.status).toBe(200)
      expect(await page.text()).toContain(traceId)
    },
  )

  it.for(CAUSES)('tell of %s', { timeout: 150_000 }, async (name) => {
    const cause = place.causes.find(({ what }) => what === name)
    if (!cause) throw new Error(`There is no cause "${name}"`)
    const stop = new AbortController()
    const provoking = cause.provoke(stop.signal)
    try {
      for (const [alert, labels = {}] of cause.alerts) {
        const { labels: told, annotations } = await proof.fires(alert, labels, 90_000)
        expect(told.severity).toMatch(/^(warning|critical)$/)
        const link = new URL(annotations.runbook_url ?? '')
        expect(await (await fetch(link)).text()).toContain(`id="${link.hash.slice(1)}"`)
      }
    } finally {
      stop.abort()
      await provoking
      await cause.repair?.()
    }
  })
})
