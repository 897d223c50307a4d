import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { METRICS, type Metric } from '../../metric-names.ts'
import manifest from '../../package.json' with { type: 'json' }
import { FAILURES } from '../../server/contract.ts'
import { groupingLabelsOf, selectorsIn } from '../promql.ts'
import { prometheusPrograms } from '../setup/prometheus.ts'
import { ALERTS_DIR, anchorOf, type Rule, readDocuments } from './document.ts'
import { healthyTraffic, promtoolTests } from './promtool-tests.ts'
import { rulesFile, rulesOf } from './rules-file.ts'

const execute = promisify(execFile)
const documents = readDocuments()
const committed = readFileSync(join(ALERTS_DIR, 'rules.yml'), 'utf8')
const rules = documents.flatMap((document) => rulesOf(document))
const alerts = documents.flatMap((document) =>
  document.sections.flatMap((section) =>
    section.rules.flatMap((rule) => (rule.alert === undefined ? [] : [{ document, section, rule }])),
  ),
)
/** Everything that stands in a document as an expression: of rules, and of queries for whoever looks. */
const expressions = [
  ...rules.map(({ alert, record, expr }) => ({ where: alert ?? record, expr })),
  ...documents.flatMap(({ name, text }) =>
    [...text.matchAll(/^```promql\n(.*?)^```$/gms)].map(([, expr = '']) => ({ where: name, expr })),
  ),
]

it('the committed rules are those of the documents; npm run alerts writes them', () => {
  expect(committed).toBe(rulesFile(documents))
})

it('promtool finds nothing wrong with the rules', async () => {
  const { promtool } = await prometheusPrograms()
  const checked = await execute(promtool, [
    'check',
    'rules',
    '--lint=all',
    '--lint-fatal',
    join(ALERTS_DIR, 'rules.yml'),
  ])
  expect(checked.stdout).toContain(`SUCCESS: ${rules.length} rules found`)
})

it('amtool finds nothing wrong with the example of routing, and it routes by severity', async () => {
  const { amtool } = await prometheusPrograms()
  const path = join(ALERTS_DIR, 'alertmanager.yml')
  expect((await execute(amtool, ['check-config', path])).stdout).toContain('SUCCESS')
  for (const [severity, receiver] of [
    ['critical', 'pager'],
    ['warning', 'tickets'],
  ]) {
    const route = ['config', 'routes', 'test', `--config.file=${path}`, `--verify.receivers=${receiver}`]
    await execute(amtool, [...route, `severity=${severity}`, 'area=compile-failures'])
  }
  const named = [...readFileSync(path, 'utf8').matchAll(/alertname =~? "?([\w|.*]+)/g)].flatMap(([, names = '']) =>
    names.split('|'),
  )
  const known = rules.map(({ alert }) => alert ?? '')
  expect(named.filter((name) => !known.some((alert) => new RegExp(`^${name}$`).test(alert)))).toEqual([])
})

it.each(documents.map((document) => [document.name, document] as const))(
  'alerts of %s fire on their traffic, and neither on a healthy hour nor on checks of ours',
  async (name, document) => {
    const { promtool } = await prometheusPrograms()
    const folder = await mkdtemp(join(tmpdir(), 'pass-ats-rules-'))
    try {
      await writeFile(join(folder, 'rules.yml'), rulesFile([document]))
      const files = promtoolTests(document, healthyTraffic(documents), join(folder, 'rules.yml'))
      const paths = files.map((_, index) => join(folder, `${name}-${index}.yml`))
      await Promise.all(files.map((text, index) => writeFile(paths[index] ?? '', text)))
      const run = execute(promtool, ['test', 'rules', ...paths])
      const { stdout } = await run.catch(({ stdout, stderr }) => ({ stdout: `${stdout}${stderr}` }))
      expect(stdout.match(/SUCCESS/g)).toHaveLength(files.length)
      expect(stdout).not.toContain('FAILED')
    } finally {
      await rm(folder, { recursive: true })
    }
  },
  120_000,
)

it('every alert has a section of its name that says what to do, and traffic on which it fires', () => {
  expect(alerts.length).toBeGreaterThan(30)
  for (const { document, section, rule } of alerts) {
    const { alert, labels, annotations } = rule
    expect({ alert, heading: section.heading }).toEqual({ alert, heading: alert })
    expect(
      section.cases.some(({ fires }) => fires?.length !== 0),
      `${alert} fires`,
    ).toBe(true)
    expect(['overview', 'performance', 'errors', 'resources']).toContain(annotations?.dashboard)
    const from = document.text.indexOf(`\n## ${alert}\n`)
    const to = document.text.indexOf('\n## ', from + 1)
    const text = document.text.slice(from, to < 0 ? undefined : to).toLowerCase()
    expect(text, `${alert} says its severity`).toContain(`**${labels?.severity}**`)
    for (const word of ['look', 'do', 'verify', 'escalate']) {
      expect(text, `${alert} says what to ${word}`).toMatch(new RegExp(`\\*\\*[^*]*\\b${word}\\b[^*]*\\*\\*`))
    }
  }
  expect(new Set(alerts.map(({ rule }) => rule.alert)).size).toBe(alerts.length)
})

it('every runbook link leads to a heading that exists, and so does every link between the documents', () => {
  const anchors = new Set(
    documents.flatMap(({ name, sections }) => sections.map(({ anchor }) => `ops/alerts/${name}.md#${anchor}`)),
  )
  const groups = parse(committed).groups as { rules: Rule[] }[]
  const links = groups.flatMap(({ rules }) => rules.flatMap(({ annotations }) => annotations?.runbook_url ?? []))
  expect(links).toHaveLength(alerts.length)
  expect(links.filter((link) => !anchors.has(link))).toEqual([])
  for (const { name, text } of documents) {
    const inside = [...text.matchAll(/\]\((?:([\w-]+)\.md)?(?:#([\w-]+))?\)/g)]
    for (const [link, file = name, anchor = anchorOf(documentTitle(file))] of inside) {
      expect(anchors, `${name}: ${link}`).toContain(`ops/alerts/${file}.md#${anchor}`)
    }
  }
})

function documentTitle(name: string): string {
  return documents.find((document) => document.name === name)?.sections[0]?.heading ?? ''
}

it('every command of npm that a document names is one of this project', () => {
  const named = documents.flatMap(({ text }) => [
    ...text.matchAll(/\bnpm (?:run (?:--silent )?([\w-]+)|(start|test)\b)/g),
  ])
  const scripts = new Set(named.map(([, script, own]) => script ?? own ?? ''))
  expect(scripts.size).toBeGreaterThan(3)
  expect([...scripts].filter((script) => !(script in manifest.scripts))).toEqual([])
})

it('every variable that a document names is one of the configuration', () => {
  const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
  const named = documents.flatMap(({ text }) =>
    [...text.matchAll(/`([A-Z]+_[A-Z_]+)\b[^`]*`/g)].map(([, name]) => name ?? ''),
  )
  const known = (name: string) => new RegExp(`^${name}=`, 'm').test(example) || name === 'CHROMIUM_PATH'
  expect([...new Set(named)].filter((name) => !known(name))).toEqual([])
})

const METRIC_BY_SERIES = new Map<string, Metric>(
  Object.values<Metric>(METRICS).flatMap((metric) =>
    (metric.type === 'histogram' ? ['_bucket', '_count', '_sum'] : ['']).map(
      (suffix) => [metric.name + suffix, metric] as const,
    ),
  ),
)
const RECORDED = new Set(rules.flatMap(({ record }) => record ?? []))
/** What Prometheus adds to every series, and its client to every process. */
const ADDED = ['job', 'instance', 'le']
const OF_EVERY_PROCESS = /^(up|process_\w+|nodejs_\w+)$/

it('asks only for metrics, labels and values of the catalogue', () => {
  const wrong = expressions.flatMap(({ where, expr }) => {
    const selectors = selectorsIn(expr)
    const labels = new Set(ADDED)
    const problems = selectors.flatMap(({ metric, matchers }) => {
      const known = METRIC_BY_SERIES.get(metric)
      if (known) for (const label of Object.keys(known.labels)) labels.add(label)
      if (RECORDED.has(metric)) for (const label of metric.split(':')[0]?.split('_') ?? []) labels.add(label)
      if (!known && !RECORDED.has(metric) && !OF_EVERY_PROCESS.test(metric)) return [`${where}: ${metric}`]
      return matchers.flatMap(({ label, value, operator }) => {
        if (ADDED.includes(label) || RECORDED.has(metric)) return []
        const listed = label === 'failure_code' ? ['none', ...Object.keys(FAILURES)] : known?.labels[label]
        if (listed === undefined) return [`${where}: ${metric}{${label}}`]
        const values = operator.includes('~') ? value.split('|') : [value]
        return typeof listed === 'number' ? [] : values.filter((one) => !listed.includes(one))
      })
    })
    return [
      ...problems,
      ...groupingLabelsOf(expr)
        .filter((label) => !labels.has(label))
        .map((label) => `${where}: by (${label})`),
    ]
  })
  expect(wrong).toEqual([])
})

it('objectives and alerts count no checks of ours, wherever a metric tells them apart', () => {
  const counting = rules.flatMap(({ alert, record, expr }) =>
    selectorsIn(expr)
      .filter(({ metric }) => METRIC_BY_SERIES.get(metric)?.labels.synthetic !== undefined)
      .filter(({ matchers }) => !matchers.some(({ label, value }) => label === 'synthetic' && value === 'false'))
      .map(({ metric }) => `${alert ?? record}: ${metric}`),
  )
  expect(counting).toEqual([])
})

it('no rule matches a bucket’s bound, which Prometheus 3 spells otherwise', () => {
  expect(rules.filter(({ expr }) => selectorsIn(expr).some(({ matchers }) => matchers.some(isBound)))).toEqual([])
})
const isBound = ({ label }: { label: string }) => label === 'le'
