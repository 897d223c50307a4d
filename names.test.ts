import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as conventions from '@opentelemetry/semantic-conventions/incubating'
import { expect, it } from 'vitest'
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

const production = ['extension', 'relay', 'server', 'closed-list.ts', 'synthetic.ts']
  .flatMap((path) =>
    path.endsWith('.ts')
      ? [path]
      : readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((file) => join(path, file)),
  )
  .filter((file) => /\.ts$/.test(file) && !/\.(test|spec)\.ts$|^extension\/dist/.test(file))
  .map((file) => readFileSync(join(ROOT, file), 'utf8'))

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
  const others = entries
    .filter(([constant]) => /^(ATTR|RESOURCE)_/.test(constant))
    .map(([, name]) => name)
    .filter((name) => !name.startsWith('pass_ats.') && !known.has(name))
  // The GenAI conventions live in a repository of their own; the package has them only in part, and deprecated.
  expect(others.filter((name) => !name.startsWith('gen_ai.'))).toEqual([])
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
