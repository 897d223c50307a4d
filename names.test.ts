import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as conventions from '@opentelemetry/semantic-conventions/incubating'
import { expect, it } from 'vitest'
import { METRICS, type Metric } from './metric-names.ts'
import * as names from './names.ts'

const ROOT = fileURLToPath(new URL('.', import.meta.url))
const entries = Object.entries(names)

/** Set by the HTTP instrumentations and the SDK, so that no file of ours needs to name them. */
const SET_BY_THE_SDK = new Set([
  'EVENT_EXCEPTION',
  'ATTR_EXCEPTION_TYPE',
  'ATTR_HTTP_ROUTE',
  'ATTR_URL_PATH',
  'ATTR_URL_SCHEME',
  'ATTR_NETWORK_PROTOCOL_VERSION',
  'ATTR_USER_AGENT',
  'RESOURCE_SDK_LANGUAGE',
  'RESOURCE_SDK_NAME',
  'RESOURCE_SDK_VERSION',
])

const production = readAll('extension', 'relay', 'server', 'closed-list.ts', 'synthetic.ts')
/** Where metrics may be observed: services, and the checks that ask them. */
const observing = readAll('relay', 'server', 'ops', 'metrics.ts', 'http-metrics.ts', 'breaker.ts')

function readAll(...paths: string[]): string[] {
  return paths
    .flatMap((path) =>
      path.endsWith('.ts')
        ? [path]
        : readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((file) => join(path, file)),
    )
    .filter((file) => /\.ts$/.test(file) && !/\.(test|spec)\.ts$|^extension\/dist/.test(file))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
}

it('names nothing twice', () => {
  const attributes = entries.filter(([constant]) => /^(ATTR|RESOURCE|EVENT)_/.test(constant)).map(([, name]) => name)
  expect(attributes.length).toBe(new Set(attributes).size)
})

it.each(entries.filter(([constant]) => !SET_BY_THE_SDK.has(constant)))(
  '%s (%s) is emitted by some file',
  (constant) => {
    const used = new RegExp(`^(?!.*\\bimport\\b).*[\\[(. ,]${constant}\\b`, 'm')
    // One line for the import, at least one for the use.
    expect(production.some((text) => used.test(text.replace(/^import[\s\S]*?from '[^']+'$/gm, '')))).toBe(true)
  },
)

it('keeps its own names under pass_ats, and takes the others from the conventions', () => {
  const known = new Set<unknown>(Object.values(conventions))
  const named = entries.filter(([constant]) => /^(ATTR|RESOURCE|EVENT)_/.test(constant)).map(([, name]) => name)
  expect(named.filter((name) => !name.startsWith('pass_ats.') && !known.has(name))).toEqual([])
})

it('writes no listed name out by hand elsewhere', () => {
  const listed = entries.filter(([constant]) => constant.startsWith('ATTR_')).map(([, name]) => name)
  const byHand = production.flatMap((text) => listed.filter((name) => text.includes(`'${name}'`)))
  expect(byHand).toEqual([])
})

it('says of every name what it means', () => {
  const source = readFileSync(join(ROOT, 'names.ts'), 'utf8')
  const bare = [...source.matchAll(/^(.*)\nexport const (\w+)/gm)].filter(([, before]) => !before?.endsWith('*/'))
  expect(bare.map(([, , constant]) => constant)).toEqual([])
})

it('lets out of the extension what some file of it puts in, and nothing else', () => {
  const files = readdirSync(join(ROOT, 'extension'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.ts$/.test(file) && !/\.(test|spec)\.ts$|^dist|^journey\.ts$|listed\.ts$/.test(file),
  )
  const named = (text: string) => text.match(/\bATTR_[A-Z_]+/g) ?? []
  const put = new Set(files.flatMap((file) => named(readFileSync(join(ROOT, 'extension', file), 'utf8'))))
  const list = readFileSync(join(ROOT, 'extension/tracer/listed.ts'), 'utf8')
  expect(new Set(named(list.slice(list.indexOf('new Set('))))).toEqual(put)
})

const metrics: [string, Metric][] = Object.entries(METRICS)

it.each(metrics)('the metric %s is declared beside the code that observes it', (key) => {
  const declaration = new RegExp(
    `^\\s*(?:const (\\w+) = )?(?:counter|gauge|histogram|new Counter)\\((?:settingsOf\\()?METRICS\\.${key}\\b`,
    'm',
  )
  const declaring = observing.flatMap((text) => {
    const [found, variable] = declaration.exec(text) ?? []
    return found ? [{ text, variable }] : []
  })
  expect(declaring.length).toBeGreaterThan(0)
  for (const { text, variable } of declaring) {
    if (variable) expect(text).toMatch(new RegExp(`\\b${variable}\\.(add|tally|set|observe|whenAsked|inc)\\(`))
  }
})

it('writes no metric out by hand elsewhere, and makes none but by the catalogue', () => {
  const byHand = [...production, ...observing].flatMap((text) =>
    metrics.filter(([, { name }]) => new RegExp(`['"\`]${name}['"\`]`).test(text)).map(([key]) => key),
  )
  expect(byHand).toEqual([])
  expect(observing.filter((text) => text.includes("from 'prom-client'"))).toHaveLength(1)
})

it('names metrics as OpenMetrics and Prometheus would have them', () => {
  expect(new Set(metrics.map(([, { name }]) => name)).size).toBe(metrics.length)
  for (const [, { name, type, help, labels, buckets }] of metrics) {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(buckets !== undefined).toBe(type === 'histogram')
    expect(help).toMatch(/^[A-Z].*\.$/)
    for (const label of Object.keys(labels)) expect(label).toMatch(/^[a-z][a-z0-9_]*$/)
  }
})
