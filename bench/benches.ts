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
        'A run through the browser takes 21 ms longer with telemetry; the interval is wide, from 2 to 11 in 100, since one and the same stack is now faster and now slower for a while. What is called right after it (its answer 3 ms later, its first event 7) may be slower for what the run leaves behind: its spans are exported then, and the extension goes over what it holds. That could not be told apart. Beside POST /compile, which comes last, nothing is left of that. A backend in trouble makes no difference that could be told from none: the same relay was 8, 4 and 0 in 100 slower with three of them. Reading a page takes 0.1 ms longer. Next: more rounds, and then exports that wait until no run is under way.',
    },
    tracer: {
      about: 'what tracing costs a span, an extraction and a run, against none',
      runs: 20,
      run: async (runs) => (await import('./tracer.ts')).benchTracer(runs),
      remark:
        'Six microseconds, of a page that has been read very often and takes 130; the first time it takes 2.5 milliseconds, and 0.07 more with telemetry.',
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
      remark:
        'Nothing stays but memory, most of it probably what V8 has taken for its heap and does not give back on a machine that has plenty: it levels off in the second half, and the soak found what is held without its rubbish to stay as it is. Next: to measure that here, too, instead of the resident memory alone.',
    },
  },
  'How much does it take, and how soon is it found?': {
    ingest: {
      about: 'what the relay takes in a second of its CPU, and with full decoding',
      runs: 1,
      run: async (runs) => (await import('./ingest.ts')).benchIngest(runs),
      remark:
        'Above the 160,000 and 200,000 spans a second, 7 in 100 below the 450,000; relays of the same code differ by more than that from one start to the next. By a profile, nearly two fifths of the CPU are the writing thread\u2019s, and about half of that goes into the copies of failed traces, which are unpacked, cut out and packed again. With full decoding all of this is done as well, which keeps the ratio below the four that were promised. What is sent without gzip holds the most memory: it is packed here. Next: to cut failed traces out while their request is unpacked anyway, and to pack what is kept by the hour instead of by the trace.',
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
