/**
 * `npm run bench -- NAME [--json]`: where every figure about this project comes from. Prints one JSON object on one
 * line: `{name, machine, results, targets: [{claim, value, limit, ok}]}`. Exits with 0 when it could measure, whatever
 * the figures are.
 */

import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { exitOnSignals, isClosing } from '../ops/closing.ts'
import { benchAlerts } from './alerts.ts'
import { benchCardinality } from './cardinality.ts'
import { benchChaos } from './chaos.ts'
import { benchCompile } from './compile.ts'
import { benchConsole } from './console.ts'
import { benchCrash } from './crash.ts'
import { benchIdle } from './idle.ts'
import { benchIngest } from './ingest.ts'
import { benchLookUp } from './look-up.ts'
import { benchOutage } from './outage.ts'
import { benchOverhead } from './overhead.ts'
import { benchRun } from './run.ts'
import { benchRuns } from './runs.ts'
import { benchSize } from './size.ts'
import { benchSoak } from './soak.ts'
import { benchStream } from './stream.ts'
import { benchSurvive } from './survive.ts'
import { benchSynthetics } from './synthetics.ts'
import { benchTracer } from './tracer.ts'
import { benchUpload } from './upload.ts'

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

const BENCHES: Record<string, { about: string; run: (runs: number) => Promise<Measured>; runs?: number }> = {
  alerts: {
    about: 'alerts from real causes, after --runs seconds in which nothing may fire, a second a minute of the rules',
    run: benchAlerts,
    runs: 60,
  },
  survive: { about: 'runs whose worker is killed: whole traces, orphans, duplicates, recovery', run: benchSurvive },
  idle: { about: 'a worker that nobody watches, and a model that is silent for 90 seconds', run: benchIdle, runs: 1 },
  size: { about: 'what worker and page load, and other SDKs beside them, bytes', run: benchSize },
  upload: {
    about: 'what the browser sends by itself: requests of runs that work, delay of those that fail',
    run: benchUpload,
  },
  compile: { about: 'what a resume takes to typeset, step by step, and beside hostile LaTeX', run: benchCompile },
  runs: {
    about: 'runs one after another: processes, files, handles and memory they leave, and what writing them down costs',
    run: benchRuns,
    runs: 1_000,
  },
  run: { about: 'click to PDF, every part of it: p50, p95 and p99, milliseconds', run: benchRun },
  ingest: { about: 'what the relay takes in a second of its CPU, and with full decoding', run: benchIngest, runs: 1 },
  tracer: { about: 'what tracing costs a span, an extraction and a run, against none', run: benchTracer },
  cardinality: {
    about: 'series of relay and server after --runs thousand requests with anything in them',
    run: benchCardinality,
    runs: 100,
  },
  chaos: {
    about:
      'faults by runs in flight, each --runs times: what became of runs, traces and stored spans, and when all was well',
    run: benchChaos,
    runs: 2,
  },
  crash: {
    about: 'a relay that is killed under load, in front of a backend that fails: losses, duplicates',
    run: benchCrash,
    runs: 30,
  },
  'look-up': {
    about: 'look-ups among millions of spans (--runs says how many) while more come in and hours begin and go',
    run: benchLookUp,
    runs: 5,
  },
  console: {
    about:
      'look-ups among millions of spans (--runs says how many) in Chromium and by curl; first paint of large traces',
    run: benchConsole,
    runs: 5,
  },
  outage: {
    about: 'a backend that is away for --runs seconds, impatient, then refuses a batch: what arrives, who notices',
    run: benchOutage,
    runs: 60,
  },
  overhead: {
    about:
      'everything a person waits for, with telemetry and fully without, --runs pairs in turn; and a backend in trouble',
    run: benchOverhead,
    runs: 300,
  },
  synthetics: {
    about: 'synthetic checks for --runs minutes on busy cores: how many failed of a stack that works, what they left',
    run: benchSynthetics,
    runs: 60,
  },
  soak: {
    about: 'mixed load, checks and faults for --runs minutes: whether memory, handles, processes and storage grow',
    run: benchSoak,
    runs: 60,
  },
  stream: {
    about: 'what the relay adds to an event, and how soon the server knows that a client has left',
    run: benchStream,
    runs: 50,
  },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, runs: { type: 'string' } },
})
const bench = BENCHES[positionals[0] ?? '']
const runs = Number(values.runs ?? bench?.runs ?? 20)

if (!bench || !Number.isInteger(runs) || runs < 1 || runs > 1_000) {
  console.error('Usage: npm run bench -- NAME [--json] [--runs N]\n')
  for (const [name, { about }] of Object.entries(BENCHES)) console.error(`  ${name.padEnd(12)}${about}`)
  process.exitCode = 2
} else {
  const measured = await bench.run(runs).catch(async (error) => {
    // What a signal has ended fails because of it; the signal's own exit follows.
    if (isClosing()) await new Promise(() => {})
    throw error
  })
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: process.platform,
  }
  console.log(JSON.stringify({ name: positionals[0], machine, ...measured }))
}
