/** Every bench by its name, by the question that it answers. A bench's file says in its first lines what it does. */

import type { Measured } from './bench.ts'

export interface Bench {
  /** For whom wants to run it. */
  about: string
  /** How many by default; what is fewer is a try, and its result is not stored. */
  runs: number
  run: (runs: number) => Promise<Measured>
  /** Why a target is missed, and what to try next. */
  remark?: string
}

// Loaded when they are asked for: the report needs none of what they need.
export const QUESTIONS: Record<string, Record<string, Bench>> = {
  'How long does a person wait, and what of it is telemetry?': {
    run: {
      about: 'click to PDF, every part of it: p50, p95 and p99, milliseconds',
      runs: 20,
      run: async (runs) => (await import('./run.ts')).benchRun(runs),
    },
    overhead: {
      about:
        'everything a person waits for, with telemetry and fully without, --runs pairs in turn; and a backend in trouble',
      runs: 300,
      run: async (runs) => (await import('./overhead.ts')).benchOverhead(runs),
      remark:
        'A run through the browser took 24 ms longer with telemetry (5 in 100), its answer 4, its first event 14; and one without telemetry that worked at a third of the pace took as much longer as that. With a backend in trouble it is compared here with what works three times as often, so that this difference is in it; from the next measurement on, with what works at the same pace. Found by a profile and mended since: a thread for hooks on imported modules, for which the server stood still whenever a PDF was opened. The relay uses three times the CPU for a round, a part of it while nobody asks anything of it; no single function stands out. Next: spans of the relay without one for the client’s side.',
    },
    tracer: {
      about: 'what tracing costs a span, an extraction and a run, against none',
      runs: 20,
      run: async (runs) => (await import('./tracer.ts')).benchTracer(runs),
    },
    stream: {
      about: 'what the relay adds to an event, and how soon the server knows that a client has left',
      runs: 50,
      run: async (runs) => (await import('./stream.ts')).benchStream(runs),
    },
    compile: {
      about: 'what a resume takes to typeset, step by step, and beside hostile LaTeX',
      runs: 20,
      run: async (runs) => (await import('./compile.ts')).benchCompile(runs),
    },
    size: {
      about: 'what worker and page load, and other SDKs beside them, bytes',
      runs: 1,
      run: async () => (await import('./size.ts')).benchSize(),
    },
    upload: {
      about: 'what the browser sends by itself: requests of runs that work, delay of those that fail',
      runs: 20,
      run: async (runs) => (await import('./upload.ts')).benchUpload(runs),
    },
  },
  'What does it survive?': {
    survive: {
      about: 'runs whose worker is killed: whole traces, orphans, duplicates, recovery',
      runs: 20,
      run: async (runs) => (await import('./survive.ts')).benchSurvive(runs),
    },
    idle: {
      about: 'a worker that nobody watches, and a model that is silent for 90 seconds',
      runs: 1,
      run: async (runs) => (await import('./idle.ts')).benchIdle(runs),
    },
    chaos: {
      about:
        'faults by runs in flight, each --runs times: what became of runs, traces and stored spans, and when all was well',
      runs: 2,
      run: async (runs) => (await import('./chaos.ts')).benchChaos(runs),
    },
    crash: {
      about: 'a relay that is killed under load, in front of a backend that fails: losses, duplicates',
      runs: 30,
      run: async (runs) => (await import('./crash.ts')).benchCrash(runs),
    },
    outage: {
      about: 'a backend that is away for --runs seconds, impatient, then refuses a batch: what arrives, who notices',
      runs: 60,
      run: async (runs) => (await import('./outage.ts')).benchOutage(runs),
    },
    deaths: {
      about: 'every process of ops/deploy killed amid --runs runs: what became of runs and of their traces',
      runs: 50,
      run: async (runs) => (await import('./deaths.ts')).benchDeaths(runs),
    },
    soak: {
      about: 'mixed load, checks and faults for --runs minutes: whether memory, handles, processes and storage grow',
      runs: 60,
      run: async (runs) => (await import('./soak.ts')).benchSoak(runs),
      remark:
        'The server’s memory grew while what it holds without its rubbish did not: its collector had little time, on a machine that ran the whole test suite beside it in the second half. Next: the same on an idle machine, to see whether it stays below.',
    },
    runs: {
      about:
        'runs one after another: processes, files, handles and memory they leave, and what writing them down costs',
      runs: 1_000,
      run: async (runs) => (await import('./runs.ts')).benchRuns(runs),
    },
  },
  'How much does it take, and how soon is it found?': {
    ingest: {
      about: 'what the relay takes in a second of its CPU, and with full decoding',
      runs: 1,
      run: async (runs) => (await import('./ingest.ts')).benchIngest(runs),
      remark:
        'Not by how much is written or scanned: beside each other, unpacking, scanning and writing alone cost a third of what the relay does. By a profile of it, a third of its time goes into the scan, a sixth into unpacking, a sixth into the copies of failed traces and a tenth into the collection of garbage. To cut failed traces out while their request is unpacked was tried: what it saves is less than what one round differs from the next. Next: more rounds, and packing what is kept by the hour instead of by the trace.',
    },
    scale: {
      about:
        'runs and ingest with one and with two replicas on the same cores, and with everything in files, --runs times',
      runs: 3,
      run: async (runs) => (await import('./scale.ts')).benchScale(runs),
    },
    'look-up': {
      about: 'look-ups among millions of spans (--runs says how many) while more come in and hours begin and go',
      runs: 5,
      run: async (runs) => (await import('./look-up.ts')).benchLookUp(runs),
    },
    console: {
      about:
        'look-ups among millions of spans (--runs says how many) in Chromium and by curl; first paint of large traces',
      runs: 5,
      run: async (runs) => (await import('./console.ts')).benchConsole(runs),
    },
    capacity: {
      about:
        'what --runs runs and as many look-ups cost every process of ops/deploy, and what that makes of many installs',
      runs: 100,
      run: async (runs) => (await import('./capacity.ts')).benchCapacity(runs),
    },
    cardinality: {
      about: 'series of relay and server after --runs thousand requests with anything in them',
      runs: 100,
      run: async (runs) => (await import('./cardinality.ts')).benchCardinality(runs),
    },
  },
  'Who hears of it when it fails?': {
    alerts: {
      about: 'every alert from a real cause, for half an hour, after --runs seconds (minutes of the rules) without any',
      runs: 60,
      run: async (runs) => (await import('./alerts.ts')).benchAlerts(runs),
      remark:
        'What is missed of the store was a fault of ours that this run found: what a file took was counted with its log, so that its hours went before the store was nearly full. It has been mended since, and RunsUnavailable has got its cause: by themselves, all of these fire. The whole is to be measured again.',
    },
    synthetics: {
      about: 'synthetic checks for --runs minutes on busy cores: how many failed of a stack that works, what they left',
      runs: 60,
      run: async (runs) => (await import('./synthetics.ts')).benchSynthetics(runs),
    },
  },
}
