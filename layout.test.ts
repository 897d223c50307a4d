import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('.', import.meta.url))
const SIDES = ['extension', 'relay', 'server']
const LEAVES = [
  'redis.ts',
  'names.ts',
  'closed-list.ts',
  'metric-names.ts',
  'metrics.ts',
  'http-metrics.ts',
  'synthetic.ts',
  'breaker.ts',
]

interface Source {
  file: string
  /** Imported files of this project, types included, as paths from the root. */
  imports: string[]
  packages: string[]
}

const isTest = (file: string) => /\.(test|spec)\.ts$|^extension\/journey\.ts$/.test(file)

const sources: Source[] = [...SIDES, ...LEAVES]
  .flatMap((path) =>
    path.endsWith('.ts')
      ? [path]
      : readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((file) => join(path, file)),
  )
  .filter((file) => file.endsWith('.ts') && !file.startsWith('extension/dist') && !isTest(file))
  .map((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8')
    const specifiers = [...text.matchAll(/(?:\bfrom|^import|\bimport\()\s*'([^']+)'/gm)].map(([, s]) => s as string)
    return {
      file,
      imports: specifiers
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => normalize(join(dirname(file), specifier.replace(/\?.*$/, '')))),
      packages: specifiers.filter((specifier) => !specifier.startsWith('.')),
    }
  })

/** Every import from one place to another, as `importer → imported`, that `allowed` does not allow. */
function breaches(from: RegExp, to: RegExp, allowed: RegExp = /$^/): string[] {
  return sources
    .filter(({ file }) => from.test(file))
    .flatMap(({ file, imports }) =>
      imports.filter((path) => to.test(path) && !allowed.test(path)).map((path) => `${file} → ${path}`),
    )
}

it('sees the tree', () => {
  expect(sources.length).toBeGreaterThan(50)
  expect(sources.find(({ file }) => file === 'server/app.ts')?.imports).toContain('server/contract.ts')
})

it('the extension imports contracts of the other sides, and nothing else of theirs', () => {
  expect(breaches(/^extension\//, /^(relay|server)\//, /^(relay|server)\/([a-z]+-)?contract\.ts$/)).toEqual([])
})

it('the relay imports the server\u2019s contracts, and nothing else of it', () => {
  expect(breaches(/^relay\//, /^server\//, /^server\/([a-z]+-)?contract\.ts$/)).toEqual([])
})

it('the server imports nothing of the others', () => {
  expect(breaches(/^server\//, /^(relay|extension)\//)).toEqual([])
})

it('contracts import nothing but zod, and those of answers not even that', () => {
  const contracts = sources.filter(({ file }) => /contract\.ts$/.test(file))
  expect(contracts.length).toBeGreaterThan(3)
  for (const { file, imports, packages } of contracts) {
    expect({ file, imports, packages }).toEqual({
      file,
      imports: [],
      packages: file.endsWith('request-contract.ts') ? ['zod'] : [],
    })
  }
})

it.each(['names.ts', 'metric-names.ts'])('%s imports nothing at all', (names) => {
  expect(sources.find(({ file }) => file === names)).toMatchObject({ imports: [], packages: [] })
})

it('what stands beside the sides knows none of them', () => {
  expect(breaches(/^[\w-]+\.ts$/, /^(extension|relay|server)\//)).toEqual([])
  expect(breaches(/^extension\//, /^(metrics|metric-names|http-metrics|synthetic|breaker)\.ts$/)).toEqual([])
})

it('the server\u2019s stages do not import one another, nor what is above them', () => {
  const stage = '(tailor|latex|tectonic|pdf)'
  // A type names what is handed from one stage to the next; it is not a call.
  expect(breaches(new RegExp(`^server/${stage}\\.ts$`), new RegExp(`^server/${stage}\\.ts$`))).toEqual([
    'server/latex.ts → server/tailor.ts',
    'server/pdf.ts → server/latex.ts',
  ])
  expect(breaches(new RegExp(`^server/${stage}\\.ts$`), /^server\/(pipeline|app|main|runs|events)\.ts$/)).toEqual([])
  expect(breaches(/^server\/(pipeline|runs|events)\.ts$/, /^server\/(app|main)\.ts$/)).toEqual([])
})

it('only main knows where runs and quotas are: nothing else of either side names Redis', () => {
  expect(breaches(/^server\/(?!redis\/)/, /^(server\/redis\/|redis\.ts$)/)).toEqual([
    'server/main.ts → server/redis/kept.ts',
  ])
  expect(breaches(/^relay\//, /(^|\/)redis/).sort()).toEqual([
    'relay/access/redis-quotas.ts → redis.ts',
    'relay/main.ts → redis.ts',
    'relay/main.ts → relay/access/redis-quotas.ts',
  ])
})

it('in the relay, store, forward and engine know nothing of what stands above them', () => {
  expect(
    breaches(/^relay\/((store|forward|scan|engine)\/|otlp\.ts$)/, /^relay\/(app|main|ingest|keeping|proxy|console)/),
  ).toEqual([])
  expect(breaches(/^relay\/(store|forward|scan)\//, /^relay\/engine\//)).toEqual([])
  expect(breaches(/^relay\/(ingest|keeping|proxy|console|access)/, /^relay\/(app|main)\.ts$/)).toEqual([])
  expect(breaches(/^relay\/(access|scan)\//, /^relay\/(store|forward|ingest|keeping|proxy|console)/)).toEqual([])
  expect(breaches(/^relay\/otlp\.ts$/, /^relay\//)).toEqual([])
})

it('production code reads no fixtures and no scripts', () => {
  expect(breaches(/./, /^(fixtures|ops|bench)\//)).toEqual([])
})

it('only main, config and telemetry touch the environment', () => {
  const touching = sources.filter(({ file }) => /\bprocess\.env\b/.test(readFileSync(join(ROOT, file), 'utf8')))
  const allowed = /^(relay|server)\/(main|config|telemetry)\.ts$/
  expect(touching.map(({ file }) => file).filter((file) => !allowed.test(file))).toEqual([])
})

it('the first line of every file says what it is for', () => {
  const tracked = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).split('\n')
  // The titles of tests do, and what was saved or made for a test is what it is.
  const silent = /\.(test|spec)\.ts$|^fixtures\/(postings|latex|profiles)\//
  const files = tracked.filter(
    (file) => /\.(ts|mjs|js|css|sql|lua|proto|ya?ml|tex|template)$|Dockerfile/.test(file) && !silent.test(file),
  )
  expect(files.length).toBeGreaterThan(300)
  const first = (file: string) => readFileSync(join(ROOT, file), 'utf8').split('\n', 1)[0] ?? ''
  expect(files.filter((file) => !/^(\/\*|\/\/|#|--|%)/.test(first(file)))).toEqual([])
})

it('files are named after what they are', () => {
  const nameless = /(^|\/)(utils?|helpers?|common|misc|shared|index|types|const(ants)?)(\.ts|\/)/
  expect(sources.map(({ file }) => file).filter((file) => nameless.test(file))).toEqual([])
})

it('every file that a document links to is there', () => {
  const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
  const links = documents.flatMap((document) => {
    const text = readFileSync(join(ROOT, document), 'utf8')
    return [...text.matchAll(/\]\((?![a-z]+:|#|\/)([^)#\s]+)/g)].map(([, to = '']) => ({ document, to }))
  })
  expect(links.length).toBeGreaterThan(200)
  expect(links.filter(({ document, to }) => !existsSync(join(ROOT, dirname(document), to)))).toEqual([])
})
