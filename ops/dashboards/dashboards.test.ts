import { readFileSync } from 'node:fs'
import type { Panel } from '@grafana/schema'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { METRICS, type Metric } from '../../metric-names.ts'
import { FAILURES } from '../../server/contract.ts'
import { selectorsIn } from '../promql.ts'
import { NAMES } from './board.ts'
import type { Json } from './panel.ts'
import { filledIn, queriesOf } from './queries.ts'
import { DASHBOARDS, fileOf } from './write.ts'

/** Of Prometheus itself. */
const OF_PROMETHEUS = { up: [], ALERTS: ['alertname', 'alertstate', 'severity'] }
/** Prometheus gives them to whatever it scrapes. */
const OF_TARGETS = ['job', 'instance']
/** Some of every process's metrics have labels; none of them is asked for. */
const OF_PROCESSES: Record<string, string[]> = {}

const registry = new Registry()
collectDefaultMetrics({ register: registry })
for (const { name, type } of registry.getMetricsAsArray() as unknown as { name: string; type: string }[]) {
  for (const ending of type === 'histogram' ? ['_sum', '_count', '_bucket'] : ['']) OF_PROCESSES[name + ending] = []
}

/** Every name that can be asked for, with its labels. */
const known = new Map<string, string[]>(Object.entries({ ...OF_PROMETHEUS, ...OF_PROCESSES }))
for (const metric of Object.values<Metric>(METRICS)) {
  const labels = Object.keys(metric.labels)
  if (metric.type !== 'histogram') known.set(metric.name, labels)
  else for (const ending of ['bucket', 'sum', 'count']) known.set(`${metric.name}_${ending}`, [...labels, 'le'])
}

const CHOSEN = { service: 'a', version: 'a', synthetic: 'a', price_input: '1', price_output: '1' }
const SPAN = { to: 0, seconds: 3600, scrape: 15 }
const panelsOf = (name: (typeof NAMES)[number]) =>
  (DASHBOARDS[name].panels ?? []).filter((panel): panel is Json<Panel> => panel.type !== 'row')
const marked = (DASHBOARDS.overview.annotations?.list ?? []).map(({ name, target }) => ({
  panel: name,
  expr: String((target as { expr?: string }).expr),
}))
const selectors = [...Object.values(DASHBOARDS).flatMap(queriesOf), ...marked].flatMap(({ expr, panel }) =>
  selectorsIn(filledIn(expr, 15, SPAN, CHOSEN)).map((selector) => ({ ...selector, panel })),
)

it.each(NAMES)('%s.json is what its source makes; `npm run dashboards` writes it', (name) => {
  const { path, text } = fileOf(name)
  expect(readFileSync(path, 'utf8')).toBe(text)
})

it.each(NAMES)('%s has no hole: the panels of a line fill it', (name) => {
  const lines = Map.groupBy(DASHBOARDS[name].panels ?? [], ({ gridPos }) => gridPos?.y ?? 0)
  const widths = [...lines.values()].map((panels) => panels.reduce((sum, { gridPos }) => sum + (gridPos?.w ?? 0), 0))
  expect(new Set(widths)).toEqual(new Set([24]))
})

it('asks only for metrics and labels of the catalogue, of every process and of Prometheus', () => {
  expect(selectors.length).toBeGreaterThan(200)
  const unknown = selectors.flatMap(({ panel, metric, matchers, groupedBy }) => {
    const own = known.get(metric)
    if (!own) return [`${panel}: ${metric}`]
    return [...matchers.map(({ label }) => label), ...groupedBy]
      .filter((label) => ![...own, ...OF_TARGETS].includes(label))
      .map((label) => `${panel}: ${metric}{${label}}`)
  })
  expect(unknown).toEqual([])
})

it('every metric of the catalogue is in a panel', () => {
  const asked = new Set(selectors.map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, '')))
  const names = Object.values<Metric>(METRICS).map(({ name }) => name)
  expect(names.filter((name) => !asked.has(name))).toEqual([])
})

describe.each(NAMES)('%s', (name) => {
  const panels = panelsOf(name)

  it('says of every panel what it shows, in which unit, what is bad, and what it means when it is empty', () => {
    for (const { title, description, fieldConfig, targets, datasource } of panels) {
      const { unit, thresholds, noValue } = fieldConfig?.defaults ?? {}
      expect({
        title,
        description: (description ?? '').length > 20,
        unit,
        steps: thresholds?.steps.length,
        noValue,
        targets: targets?.length,
        uid: datasource?.uid,
      }).toEqual({
        title: expect.stringMatching(/./),
        description: true,
        unit: expect.stringMatching(/./),
        steps: expect.toSatisfy((steps) => steps >= 1),
        noValue: expect.stringMatching(/./),
        targets: expect.toSatisfy((targets) => targets >= 1),
        uid: `\${datasource}`,
      })
    }
  })

  it('has no panel higher than 8, none beyond the edge, and none upon another', () => {
    const taken = new Set<string>()
    for (const { gridPos, title } of DASHBOARDS[name].panels ?? []) {
      const { x, y, w, h } = gridPos ?? { x: -1, y: 0, w: 0, h: 0 }
      expect({ title, fits: h <= 8 && x >= 0 && x + w <= 24 }).toEqual({ title, fits: true })
      for (let column = x; column < x + w; column += 1) {
        for (let row = y; row < y + h; row += 1) {
          expect(taken.has(`${column},${row}`), title).toBe(false)
          taken.add(`${column},${row}`)
        }
      }
    }
  })

  it('tells panels and queries apart, and shows the legend of every graph', () => {
    const ids = (DASHBOARDS[name].panels ?? []).map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { targets = [], type, options, title } of panels) {
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length)
      if (type === 'timeseries') expect(options?.legend, title).toMatchObject({ showLegend: true })
    }
  })

  it('leads to the other dashboards and the console, with the time range and the variables', () => {
    const { links = [], templating, uid } = DASHBOARDS[name]
    expect(links.every(({ keepTime, includeVars }) => keepTime && includeVars)).toBe(true)
    const urls = links.map(({ url }) => url)
    const others = NAMES.filter((other) => other !== name).map((other) => `/d/${DASHBOARDS[other].uid}`)
    expect(urls).toEqual([...others, `\${support}/support`])
    expect(urls).not.toContain(`/d/${uid}`)
    const variables = templating?.list?.map((variable) => variable.name) ?? []
    expect(variables.slice(0, 4)).toEqual(['datasource', 'service', 'version', 'synthetic'])
    const used =
      JSON.stringify(panels)
        .match(/\$\{?[a-z]\w*/g)
        ?.map((text) => text.replace(/\$\{?/, '')) ?? []
    expect(used.filter((variable) => !variables.includes(variable))).toEqual([])
  })

  it('names in pictures, columns and links only what its queries give', () => {
    for (const { title, type, targets = [], options, fieldConfig, transformations = [] } of panels) {
      const given = targets.map(({ legendFormat }) => `${legendFormat}`)
      if (type === 'canvas') {
        const fields =
          JSON.stringify(options)
            .match(/"field":"[^"]+"/g)
            ?.map((text) => text.slice(9, -1)) ?? []
        expect(
          fields.filter((field) => !given.includes(field)),
          title,
        ).toEqual([])
      }
      if (type === 'table') {
        const { renameByName = {} } = (transformations.at(-1)?.options ?? {}) as {
          renameByName?: Record<string, string>
        }
        const headings = Object.values(renameByName)
        for (const { matcher } of fieldConfig?.overrides ?? []) expect(headings, title).toContain(matcher.options)
      }
    }
  })
})

it('has runbooks for codes that exist', () => {
  const linked = queriesOf(DASHBOARDS.errors).find(({ panel }) => panel === 'Top failure codes')
  const pairs = [...(linked?.expr ?? '').matchAll(/"runbook", "([\w-]+\.md)", "failure_code", "([\w|]+)"/g)]
  expect(pairs.length).toBeGreaterThan(0)
  for (const [, , codes = ''] of pairs)
    for (const code of codes.split('|')) expect(Object.keys(FAILURES)).toContain(code)
})
