import { setTimeout as pass } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prometheusPrograms } from '../setup/prometheus.ts'
import { readDocuments } from './document.ts'
import { type PlayedTraffic, playTraffic } from './played-traffic.ts'
import { healthyTraffic } from './promtool-tests.ts'
import { type Proof, startProof } from './proof.ts'
import { asSynthetic, type Traffic } from './traffic.ts'

const documents = readDocuments()
const sections = documents.flatMap(({ sections }) => sections)
/** What needs yesterday is left to promtool: a day takes 24 minutes here. */
const LONGEST_MINUTES = 300
const cases = sections.flatMap(({ heading, cases }) =>
  cases
    .filter(({ fires, healthyFor = 60, after }) => fires?.length !== 0 && healthyFor + after < LONGEST_MINUTES)
    .map((one) => ({ alert: heading, ...one })),
)
const isUp = (written: string) => written.startsWith('up{')
const withoutUp = (traffic: Traffic) => Object.fromEntries(Object.entries(traffic).filter(([name]) => !isUp(name)))
const healthy = withoutUp(healthyTraffic(documents))
/** All that goes wrong at once; of two that say the same line otherwise, the greater, or the first. */
const faults = cases.reduce<Traffic>((all, { given }) => {
  for (const [name, value] of Object.entries(withoutUp(given))) {
    const old = all[name]
    all[name] = typeof old === 'number' && typeof value === 'number' ? Math.max(old, value) : (old ?? value)
  }
  return all
}, {})

// One after the other, in one life of Prometheus: what was quiet before is what makes firing mean something.
describe('in a real Prometheus and Alertmanager, 60 times as fast', () => {
  let service: PlayedTraffic
  let other: PlayedTraffic
  let proof: Proof

  beforeAll(async () => {
    service = await playTraffic('pass-ats-relay', { ...healthy, ...faults, ...asSynthetic(faults) })
    other = await playTraffic('pass-ats-synthetics', {})
    service.play(healthy)
    proof = await startProof(await prometheusPrograms(), documents, [service.target, other.target])
  })
  afterAll(async () => {
    await proof?.close()
    await service?.close()
    await other?.close()
  })

  it('no alert fires while all is well', async () => {
    // Half an hour of it, and it is the time itself that is waited for.
    await pass(30_000)
    expect(await proof.query('count(up == 1)')).toEqual([{ metric: {}, value: 2 }])
    expect(await proof.query('sum(outcome:pass_runs:increase5m)')).toEqual([
      { metric: {}, value: expect.closeTo(50, -1) },
    ])
    expect(proof.seen()).toEqual([])
  })

  it('no alert fires on what happens to checks of ours', async () => {
    service.play({ ...healthy, ...asSynthetic(faults) })
    await pass(15_000)
    expect(
      await proof.query('sum(increase(pass_runs_total{outcome="failed",synthetic="true"}[5s])) > 10'),
    ).toHaveLength(1)
    expect(proof.seen()).toEqual([])
  })

  it('every alert reaches the webhook with its severity and a link that leads to its runbook', async () => {
    proof.begin()
    service.play({ ...healthy, ...faults })
    await other.close()
    const expected = cases.flatMap(({ alert, fires = [{}] }) => fires.map((labels) => ({ alert, labels })))
    const seen = await Promise.all(expected.map(({ alert, labels }) => proof.fires(alert, labels, 120_000)))
    for (const { labels, annotations } of seen) {
      const rule = sections.flatMap(({ rules }) => rules).find(({ alert }) => alert === labels.alertname)
      expect(labels.severity).toBe(rule?.labels?.severity)
      expect(annotations.summary).not.toContain('{{')
      const link = new URL(annotations.runbook_url ?? '')
      const page = await fetch(link)
      expect(page.status).toBe(200)
      expect(await page.text()).toContain(`id="${link.hash.slice(1)}"`)
    }
    const names = new Set(seen.map(({ labels }) => labels.alertname))
    console.log(
      seen
        .map(
          ({ labels, afterMs }) =>
            `${(afterMs / 1_000).toFixed(1).padStart(6)} s  ${labels.severity?.padEnd(9)}${labels.alertname}`,
        )
        .sort()
        .join('\n'),
    )
    expect(names.size).toBe(new Set(cases.map(({ alert }) => alert)).size)
  }, 150_000)

  it('critical ones go to the pager and warnings to the tickets, and what follows from another is kept quiet', async () => {
    for (const { receiver, labels } of proof.told()) {
      expect(receiver).toBe(labels.severity === 'critical' ? 'pager' : 'tickets')
    }
    expect(proof.told().map(({ labels }) => labels.alertname)).toContain('RunsFail')
    expect(await proof.quiet()).toEqual(
      expect.arrayContaining(['ForwardingFallsBehind', 'QuotaNearlyExhausted', 'RunsFailSlowly', 'TokensExpire']),
    )
    expect(await proof.quiet()).not.toContain('RunsFail')
  })
})
