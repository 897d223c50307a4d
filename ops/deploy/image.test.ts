/** The Dockerfile, held against the code that it copies. No container engine is needed, and none is used. */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DockerfileParser } from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'
import { expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { argumentsOf } from '../stack.ts'
import { listening, type Service } from './settings.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const text = readFileSync(new URL('Dockerfile', import.meta.url), 'utf8')

interface Instruction {
  keyword: string
  args: string[]
}
/** Instructions of each stage by its name, with those of the stages that it is built on before them. */
const stages = new Map<string, Instruction[]>()
for (const instruction of DockerfileParser.parse(text).getInstructions()) {
  const keyword = instruction.getKeyword()
  const args = instruction.getArguments().map((argument) => argument.getValue())
  if (keyword === 'FROM') stages.set(args[2] ?? '', [...(stages.get(args[0] ?? '') ?? [])])
  else [...stages.values()].at(-1)?.push({ keyword, args })
}
const of = (stage: string, keyword: string) =>
  (stages.get(stage) ?? []).filter((instruction) => instruction.keyword === keyword).map(({ args }) => args)
const last = (stage: string, keyword: string) => of(stage, keyword).at(-1) ?? []
/** What JSON makes of `["node", …]`. */
const command = (stage: string) => JSON.parse(last(stage, 'CMD').join(' ')) as string[]

/** What is copied from this project, files and folders; what comes from another stage has its whole path. */
const copied = (stage: string) =>
  of(stage, 'COPY').flatMap((args) =>
    args
      .slice(0, -1)
      .filter((path) => !path.startsWith('/'))
      .map(normalize),
  )

/** Files of this project that `entry` loads, by its imports and theirs, those included that wait until they are needed. */
function loadedBy(entry: string, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen
  seen.add(entry)
  const source = readFileSync(join(ROOT, entry), 'utf8')
  // Types are erased, and so are the imports of nothing else.
  const specifiers = /^(?:import|export)(?! type)[^'\n]*(?:\n[^'\n]*)*?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm
  for (const [, atOnce, later] of source.matchAll(specifiers)) {
    const specifier = atOnce ?? later ?? ''
    const file = normalize(join(dirname(entry), specifier))
    if (existsSync(join(ROOT, file))) loadedBy(file, seen)
  }
  return seen
}

const environment = (stage: Service): Record<string, string> => ({
  SERVER_KEY: 'x'.repeat(32),
  ...Object.fromEntries(of(stage, 'ENV').flatMap((args) => args.map((pair) => pair.split('=') as [string, string]))),
})

it('has nothing that a linter objects to', () => {
  expect(validate(text).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([])
})

it('is built on the Node that package.json has, by its whole version', () => {
  expect(text).toMatch(
    new RegExp(`^ARG NODE_IMAGE=docker\\.io/library/node:${manifest.dependencies.node}-\\w+-slim$`, 'm'),
  )
})

it.each(['relay', 'server'] as const)('the %s’s image runs as nobody special, and has all that it loads', (name) => {
  expect(last(name, 'USER')).toEqual(['1000:1000'])
  const args = command(name)
  expect(args[0]).toBe('node')
  const places = copied(name)
  const entries = args.slice(1).filter((arg) => arg.endsWith('.ts'))
  const loaded = entries.flatMap((entry) => [...loadedBy(normalize(entry))])
  expect(loaded).toContain(`${name}/main.ts`)
  const missing = loaded.filter((file) => !places.some((place) => file === place || file.startsWith(`${place}/`)))
  expect(missing).toEqual([])
  for (const place of places) expect(existsSync(join(ROOT, place))).toBe(true)
})

it.each(['relay', 'server'] as const)(
  'the %s is started as npm start does it, and listens where its image says',
  (name) => {
    const sandbox = ['--import', './ops/deploy/sandbox.ts']
    const plain = command(name)
      .join(' ')
      .replace(` ${sandbox.join(' ')}`, '')
      .split(' ')
    expect(plain).toEqual(['node', ...argumentsOf(name)])
    const { host, port, metrics } = listening(name, environment(name))
    expect({ host, metrics: metrics.host }).toEqual({ host: '0.0.0.0', metrics: '0.0.0.0' })
    expect(last(name, 'EXPOSE')).toEqual([String(port), String(metrics.port)])
    expect(last(name, 'HEALTHCHECK').join(' ')).toContain(`http://127.0.0.1:${port}/healthz`)
  },
)

it('everything that is copied reaches the builder', () => {
  const ignore = readFileSync(new URL('Dockerfile.dockerignore', import.meta.url), 'utf8').split('\n')
  const kept = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  const reaches = (path: string) =>
    kept.some((each) => each === path || path.startsWith(`${each}/`) || (each === '*.ts' && /^[\w-]+\.ts$/.test(path)))
  const all = [...stages.keys()].flatMap(copied)
  expect(all.filter((path) => !reaches(path))).toEqual([])
  // The other way round: no folder goes to the builder for nothing.
  expect(kept.filter((each) => each !== '*.ts' && !all.includes(each))).toEqual([])
})
