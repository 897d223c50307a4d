/**
 * `npm run bench -- NAME [--runs N]`: where every figure about this project comes from. Prints one JSON object on one
 * line, stores it in `bench/results/`, and writes BENCHMARKS.md anew. `npm run bench -- report` does only the last. Exits with 0 when
 * it could measure, whatever the figures are.
 */

import { parseArgs } from 'node:util'
import { exitOnSignals, isClosing } from '../ops/closing.ts'
import { QUESTIONS } from './benches.ts'
import { loadOfMachine, thisMachine } from './machine.ts'
import { writeReport } from './report.ts'
import { measuredCode, type StoredResult, storeResult } from './stored-result.ts'

/** A claim as a number: `value` must not exceed `limit`. Ratios of two things measured in the same run. */
export interface Target {
  claim: string
  value: number
  limit: number
  ok: boolean
}

export interface Measured {
  results: object
  targets: Target[]
}

exitOnSignals()

const BENCHES = Object.assign({}, ...Object.values(QUESTIONS)) as (typeof QUESTIONS)[string]
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, runs: { type: 'string' } },
})
const [name = ''] = positionals
const bench = BENCHES[name]
const runs = Number(values.runs ?? bench?.runs)

if (name === 'report') {
  await writeReport()
} else if (!bench || !Number.isInteger(runs) || runs < 1 || runs > 1_000) {
  console.error('Usage: npm run bench -- NAME [--json] [--runs N]\n')
  for (const [each, { about }] of Object.entries(BENCHES)) console.error(`  ${each.padEnd(12)}${about}`)
  console.error(`  ${'report'.padEnd(12)}writes BENCHMARKS.md of what each has measured last`)
  process.exitCode = 2
} else {
  const code = measuredCode()
  const before = await loadOfMachine()
  const [date, startedAt] = [new Date(), performance.now()]
  const measured = await bench.run(runs).catch(async (error) => {
    // What a signal has ended fails because of it; the signal's own exit follows.
    if (isClosing()) await new Promise(() => {})
    throw error
  })
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  const result: StoredResult = {
    ...{ name, runs, date: date.toISOString().slice(0, 16), ...code, seconds, machine: thisMachine() },
    ...{ load: { before, after: await loadOfMachine() }, ...measured },
  }
  console.log(JSON.stringify(result))
  if (runs >= bench.runs) {
    await storeResult(result)
    await writeReport()
  } else {
    console.error(`  Not stored: fewer than ${bench.runs}.`)
  }
}
