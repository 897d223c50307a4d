/**
 * One check by hand: `node ops/synthetics/e2e-check.js [--run-id ID] [--via extension|http]`, and its siblings. Prints its
 * report on one line. Exit code 0: passed, 1: failed, 2: it could not find out, 3: slower than its objective.
 */

import { parseArgs } from 'node:util'
import { RunId } from '../../server/contract.ts'
import { closeOnSignal, exitOnSignals, isClosing } from '../closing.ts'
import { type Check, perform } from './attempt.ts'
import { compileCheck } from './compile.ts'
import { readConfig } from './config.ts'
import { e2eCheck } from './e2e.ts'
import { generateCheck } from './generate.ts'
import { type CheckName, EXIT_CODES } from './verdict.ts'

const USAGE = `Usage: node ops/synthetics/{generate,compile,e2e}-check.js [OPTIONS]

  --run-id ID            32 lower-case hex digits; the same once more finds the run that it made
  --objective SECONDS    what it may take, instead of what is promised
  --via extension|http   e2e only: through a browser or without; by default as there is one here.
                         A browser names its runs itself, so that with --run-id there is none.

PASS_ATS_URL is the relay, http://127.0.0.1:4318 by default. PASS_ATS_SYNTHETIC_KEY is one of its
RELAY_SYNTHETIC_KEYS; that of a stack by "npm start" is found by itself.`

class Misused extends Error {}

exitOnSignals()
try {
  const [name, ...args] = process.argv.slice(2)
  await runByHand(name as CheckName, args)
} catch (error) {
  if (!isClosing()) {
    const misused = error instanceof Misused || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
    console.error(misused ? USAGE : error instanceof Error ? error.message : error)
    process.exitCode = EXIT_CODES.harness_failed
  }
}

async function runByHand(name: CheckName, args: string[]): Promise<void> {
  const options = { 'run-id': { type: 'string' }, objective: { type: 'string' }, via: { type: 'string' } } as const
  const { values: flags } = parseArgs({ args, options })
  const runId = flags['run-id']
  if (runId !== undefined && !RunId.is(runId)) throw new Misused()
  const objectiveMs = flags.objective === undefined ? undefined : Number(flags.objective) * 1_000
  if (objectiveMs !== undefined && !(objectiveMs > 0)) throw new Misused()
  const via = flags.via ?? (runId === undefined ? undefined : 'http')
  if (via !== undefined && via !== 'http' && (via !== 'extension' || runId !== undefined)) throw new Misused()

  const stopping = new AbortController()
  const ended = Promise.withResolvers<void>()
  closeOnSignal(() => {
    stopping.abort()
    return ended.promise
  })
  try {
    const check = await checkOf(name, via, objectiveMs)
    const report = await perform(check, { runId, stop: stopping.signal })
    console.log(JSON.stringify(report))
    process.exitCode = EXIT_CODES[report.result]
  } finally {
    ended.resolve()
  }
}

async function checkOf(name: CheckName, via: string | undefined, objectiveMs: number | undefined): Promise<Check> {
  const config = readConfig()
  if (name === 'generate') return generateCheck(config, objectiveMs)
  if (name === 'compile') return compileCheck(config, objectiveMs)
  // Only where it is asked for: what builds the extension takes a second to load.
  const chromium = via === 'http' ? undefined : await (await import('./found-browser.ts')).builtBrowser()
  if (via === 'extension' && chromium === undefined) throw new Error('No Chromium was found. Set CHROMIUM_PATH.')
  return e2eCheck(config, chromium, objectiveMs)
}
