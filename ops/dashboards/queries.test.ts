import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prometheusPrograms } from '../setup/prometheus.ts'
import { startFilledPrometheus } from './filled-prometheus.ts'
import { type Answer, type Asked, ask, filledIn, queriesOf } from './queries.ts'
import { DASHBOARDS } from './write.ts'

/** Six hours, as the dashboards open. A scrape every 15 s would be read as often: rates reach over four of either. */
const SPAN = { seconds: 6 * 3600, scrape: 60 }
/** Of one query. Prometheus gives up at 50 million in memory; this is a few hundred milliseconds. */
const MOST_SAMPLES = 1_000_000
const CHOSEN = { service: '.*', version: '.*', synthetic: 'false', price_input: '0.25', price_output: '2.00' }

const all: Asked[] = Object.values(DASHBOARDS).flatMap(queriesOf)

describe('the panels, asked of a real Prometheus', () => {
  let started: Awaited<ReturnType<typeof startFilledPrometheus>>
  const answers: { asked: Asked; answer: Answer }[] = []

  beforeAll(async () => {
    started = await startFilledPrometheus(await prometheusPrograms(), SPAN)
    for (const asked of all)
      answers.push({ asked, answer: await ask(started.base, asked, { ...SPAN, to: started.to }, CHOSEN) })
  })
  afterAll(() => started?.close())

  it('every query has at least one finite value', () => {
    console.log(tableOf(answers))
    expect(answers.length).toBeGreaterThan(100)
    const empty = answers
      .filter(({ answer }) => finite(answer) === 0)
      .map(({ asked }) => `${asked.panel}: ${asked.name}`)
    expect(empty).toEqual([])
  })

  it('counts only the service, the version and the traffic that are chosen', async () => {
    const seen = async (panel: string, chosen: Record<string, string>) => {
      const asked = all.find((each) => each.panel === panel) as Asked
      return ask(started.base, asked, { ...SPAN, to: started.to }, { ...CHOSEN, ...chosen })
    }
    const total = ({ series }: Answer) =>
      series.flatMap(({ values }) => values).reduce((sum, [, value]) => sum + value, 0)
    expect((await seen('Memory', {})).series).toHaveLength(2)
    expect((await seen('Memory', { service: 'pass-ats-relay' })).series).toHaveLength(1)
    expect((await seen('Runs', { service: 'pass-ats-relay' })).series.length).toBeGreaterThan(0)
    expect((await seen('Runs', { service: 'pass-ats-server' })).series).toEqual([])
    expect((await seen('Runs', { version: '9.9.9' })).series).toEqual([])
    const checks = total(await seen('Runs', { synthetic: 'true' }))
    expect(checks).toBeGreaterThan(0)
    expect(checks).toBeLessThan(total(await seen('Runs', { synthetic: 'false' })) / 10)
  })

  it('while no process answers, no panel claims a figure but that of alerts', async () => {
    const before = { ...SPAN, to: started.to - 40 * 24 * 3600 }
    const claims: string[] = []
    for (const asked of all) if (finite(await ask(started.base, asked, before, CHOSEN)) > 0) claims.push(asked.panel)
    expect(claims).toEqual(['Alerts firing'])
  })

  it('every variable that is asked for has values', async () => {
    const asked = DASHBOARDS.overview.templating?.list?.filter(({ type }) => type === 'query') ?? []
    expect(asked.map(({ name }) => name)).toEqual(['service', 'version'])
    for (const { query } of asked) {
      const { query: text } = query as { query: string }
      const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? []
      const match = new URLSearchParams({ 'match[]': filledIn(selector, 60, { ...SPAN, to: started.to }, CHOSEN) })
      const response = await fetch(`${started.base}/api/v1/label/${label}/values?${match}`)
      expect(((await response.json()) as { data: string[] }).data.length, text).toBeGreaterThan(0)
    }
  })

  it('no query reads more samples than it may', () => {
    const dear = answers.filter(({ answer }) => answer.scanned > MOST_SAMPLES)
    expect(dear.map(({ asked, answer }) => `${asked.panel}: ${answer.scanned}`)).toEqual([])
  })
})

const finite = ({ series }: Answer) =>
  series.flatMap(({ values }) => values).filter(([, value]) => Number.isFinite(value)).length

function tableOf(rows: { asked: Asked; answer: Answer }[]): string {
  return rows
    .map(({ asked, answer }) =>
      [
        asked.dashboard.replace(/.*: /, '').padEnd(12),
        asked.panel.slice(0, 32).padEnd(33),
        asked.name.slice(0, 26).padEnd(27),
        `${answer.series.length} series`.padStart(10),
        `${finite(answer)} values`.padStart(13),
        `${answer.scanned} scanned`.padStart(16),
      ].join(' '),
    )
    .join('\n')
}
