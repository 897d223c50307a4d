import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { expect, it } from 'vitest'
import { figuresOf } from './figures.ts'
import { reportOf } from './report.ts'
import { type StoredResult, storedResults } from './stored-result.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

const RESULT: StoredResult = {
  ...{ name: 'run', runs: 20, date: '2026-11-30T10:00', commit: '0123456789ab', seconds: 61 },
  machine: { cpu: 'Some CPU', cores: 2, memoryGiB: 24, node: 'v24.0.0', platform: 'linux' },
  load: { before: { average: 0.1, busy: 0.01 }, after: { average: 1.5, busy: 0.02 } },
  results: { runs: 20, milliseconds: { llm: { p50: 17.18, p95: 25.4 }, latex: { p50: 23.3, p95: 1234.567 } } },
  targets: [
    { claim: 'one thing', value: 0.3, limit: 0.5, ok: true },
    { claim: 'another', value: 2, limit: 1, ok: false },
  ],
}
const report = (result: StoredResult) => reportOf(new Map([[result.name, result]]))

it('BENCHMARKS.md is what the command writes of the results in the tree', () => {
  const written = readFileSync(new URL('../BENCHMARKS.md', import.meta.url), 'utf8')
  expect(written, 'run: npm run bench -- report').toBe(reportOf(storedResults()))
})

it('the README claims no figure: those are in BENCHMARKS.md', () => {
  const measured =
    /\b\d[\d.,]*\s?(ms|milliseconds|µs|microseconds|spans a second|requests a second|times (as )?(fast|slow))/g
  expect(readme.match(measured) ?? []).toEqual([])
  expect(readme).toContain('](BENCHMARKS.md)')
})

it('a result says neither whose machine it is of nor where on it', () => {
  const results = storedResults()
  expect(results.size).toBeGreaterThan(0)
  for (const [name, result] of results) {
    const text = JSON.stringify(result)
    const places = [homedir(), hostname(), '/tmp/', '/home/'].filter(
      (place) => place.length > 3 && text.includes(place),
    )
    expect({ name, places }).toEqual({ name, places: [] })
  }
})

it('what missed its limit is called missed, and how to repeat it stands beside it', () => {
  const text = report(RESULT)
  expect(text).toContain('| one thing | 0.3 | 0.5 | held |')
  expect(text).toContain('| another | 2 | 1 | **missed** |')
  expect(text).toContain('| [run](#run) | 1 of 2 | 1 missed | 2026-11-30 |')
  expect(text).toContain('`npm run --silent bench -- run`')
  expect(text).toContain('Some CPU, 2 cores, 24 GiB')
  expect(report({ ...RESULT, runs: 40 })).toContain('`npm run --silent bench -- run --runs 40`')
})

it('a machine that had other work is flagged, and so is code that nobody can check out', () => {
  expect(report(RESULT)).not.toContain('⚠ Beside other work')
  const busy = { average: 3, busy: 0.6 }
  expect(report({ ...RESULT, load: { ...RESULT.load, before: busy } })).toContain('⚠ Beside other work')
  expect(report({ ...RESULT, load: { ...RESULT.load, after: busy } })).toContain('⚠ Beside other work')
  expect(report({ ...RESULT, changed: true })).toContain('with changes that were not committed')
})

it('a result of no bench is refused by name', () => {
  expect(() => report({ ...RESULT, name: 'nosuch' })).toThrow(/bench\/results\/nosuch\.json/)
})

it('figures of things that are alike are a table, other ones are lists, and none is left out', () => {
  expect(figuresOf(RESULT.results)).toEqual([
    '- runs: 20',
    '',
    '**milliseconds**',
    '',
    '| | p50 | p95 |',
    '| --- | --- | --- |',
    '| llm | 17.18 | 25.4 |',
    '| latex | 23.3 | 1,235 |',
    '',
  ])
  expect(figuresOf({ a: { b: { x: 1 }, list: ['one', 'two'] }, c: null, none: {} })).toEqual([
    ...['- c: –', '', '**a, b**', '', '- x: 1', '', '**a, list**', '', '- 0: one', '- 1: two', ''],
  ])
})
