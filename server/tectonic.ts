/** LaTeX in, PDF out: one Tectonic process at a time and slot, in a folder of its own, under limits, with its span. */

import { constants } from 'node:fs'
import { access, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Span, SpanKind, trace } from '@opentelemetry/api'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_COMPILE_FORMAT,
  ATTR_COMPILE_MEMORY_PEAK,
  ATTR_COMPILE_OUTCOME,
  ATTR_COMPILE_PASSES,
  ATTR_COMPILE_SANDBOXED,
  ATTR_LATEX_ERROR_LINE,
  ATTR_PROCESS_EXECUTABLE_NAME,
  ATTR_PROCESS_EXIT_CODE,
  ATTR_PROCESS_PID,
  SPAN_TECTONIC,
} from '../names.ts'
import type { FailureCode } from './contract.ts'
import { Failure } from './failure.ts'
import { tectonicCommand } from './sandbox.ts'
import { recordFailure } from './span-failure.ts'
import { type Ended, runToEnd } from './tectonic-process.ts'
import { verdict } from './tectonic-verdict.ts'
import { Turns } from './turns.ts'

/** Where everything is that typesetting needs; set-up writes it, the configuration reads it. */
export interface Toolchain {
  tectonic: string
  /** Tectonic's own loader and C library, where the machine's are too old, and always what the sandbox shows it. */
  loader?: { ldso: string; libraryPath: string } | undefined
  /** Flat folder of TeX files. Without one Tectonic fetches from its network bundle, and there is no sandbox. */
  bundle?: string | undefined
  /** Tectonic's cache, with the LaTeX format built. */
  texCache: string
  bwrap?: string | undefined
  prlimit?: string | undefined
}

export interface Compiled {
  pdf: Uint8Array
  passes: number
  sandboxed: boolean
  wallSeconds: number
  cpuSeconds?: number | undefined
  peakMemoryBytes?: number | undefined
  /** What TeX said. May quote the resume: never for telemetry. */
  log: string
}

export interface CompileOptions {
  /** Whose LaTeX it is: our own template's, or anyone's, which never runs outside the sandbox. */
  trust: 'own' | 'foreign'
  signal?: AbortSignal
  /** Hears how many wait before it, each time that changes; never when it need not wait. */
  onQueued?: (ahead: number) => void
  /** Hears that the wait, if there was one, is over. */
  onTurn?: () => void
}

const JOB = 'resume'
const MAX_PASSES = 6 // Tectonic's own bound

/** How Tectonic ended, in the words of ATTR_COMPILE_OUTCOME. */
const OUTCOMES: Partial<Record<FailureCode, string>> = {
  latex_invalid: 'latex_error',
  unsupported_character: 'unsupported_character',
  compile_timeout: 'timeout',
  out_of_memory: 'out_of_memory',
  tectonic_unavailable: 'unavailable',
  sandbox_unavailable: 'unavailable',
  interrupted: 'interrupted',
  cancelled: 'interrupted',
}

export class Tectonic {
  readonly #toolchain: Toolchain | undefined
  readonly #timeoutMs: number
  readonly #turns: Turns

  constructor(options: {
    toolchain: Toolchain | undefined
    timeoutMs: number
    concurrency: number
    queueLimit: number
  }) {
    this.#toolchain = options.toolchain
    this.#timeoutMs = options.timeoutMs
    this.#turns = new Turns(options)
  }

  /**
   * Compiles LaTeX. Throws Failure: latex_invalid, unsupported_character, compile_timeout, out_of_memory,
   * tectonic_crash, tectonic_unavailable, sandbox_unavailable, overloaded or interrupted. The process is gone by then.
   */
  async compile(tex: string, { trust, signal, onQueued, onTurn }: CompileOptions): Promise<Compiled> {
    const work = () => {
      onTurn?.()
      return this.#traced(tex, trust, signal)
    }
    return this.#turns.run(work, { signal, onQueued })
  }

  // The span starts when the process may: waiting for a turn is the compile stage's time, not Tectonic's.
  #traced(tex: string, trust: 'own' | 'foreign', signal: AbortSignal | undefined): Promise<Compiled> {
    const attributes = { [ATTR_PROCESS_EXECUTABLE_NAME]: 'tectonic', [ATTR_COMPILE_FORMAT]: 'latex' }
    const tracer = trace.getTracer('pass-ats-server')
    return tracer.startActiveSpan(SPAN_TECTONIC, { kind: SpanKind.CLIENT, attributes }, async (span) => {
      try {
        const compiled = await this.#inJobFolder(tex, trust, signal, span)
        span.setAttribute(ATTR_COMPILE_OUTCOME, 'ok')
        return compiled
      } catch (error) {
        const failure = Failure.from(error)
        // The code and the line, and nothing that TeX said: its messages quote the resume.
        recordFailure(span, failure, failure.code)
        span.setAttributes({
          [ATTR_COMPILE_OUTCOME]: OUTCOMES[failure.code] ?? 'crash',
          ...(failure.latexErrorLine !== undefined && { [ATTR_LATEX_ERROR_LINE]: failure.latexErrorLine }),
        })
        throw failure
      } finally {
        span.end()
      }
    })
  }

  async #inJobFolder(
    tex: string,
    trust: 'own' | 'foreign',
    signal: AbortSignal | undefined,
    span: Span,
  ): Promise<Compiled> {
    const toolchain = await this.#usable()
    if (trust === 'foreign' && !toolchain.bwrap) throw new Failure('sandbox_unavailable')
    const job = await mkdtemp(join(tmpdir(), 'pass-ats-compile-'))
    try {
      await writeFile(join(job, `${JOB}.tex`), tex)
      // One pass is enough for our own template: no reference in it looks forward, so a second gives the same bytes.
      const reruns = trust === 'own' ? ['--reruns', '0'] : []
      const command = tectonicCommand(toolchain, job, ['--print', '--untrusted', ...reruns, `${JOB}.tex`])
      span.setAttribute(ATTR_COMPILE_SANDBOXED, command.sandboxed)
      const ended = await runToEnd(command, { cwd: job, timeoutMs: this.#timeoutMs, signal }).catch((cause) => {
        throw new Failure('tectonic_unavailable', { cause })
      })
      const passes = Math.min(MAX_PASSES, ended.stdout.match(/^note: (?:Running|Rerunning) TeX\b/gm)?.length ?? 0)
      record(span, ended, passes)
      if (ended.aborted && signal) throw Failure.ofAbort(signal)
      const failure = verdict(ended, { jobFile: `${JOB}.tex`, trust })
      if (failure) throw failure
      const { wallSeconds, cpuSeconds, peakMemoryBytes, stdout, stderr } = ended
      const { sandboxed } = command
      const log = `${stdout}\n${stderr}`
      return { pdf: await readPdf(job), passes, sandboxed, wallSeconds, cpuSeconds, peakMemoryBytes, log }
    } finally {
      await rm(job, { recursive: true, force: true })
    }
  }

  /** Whether everything that a compilation needs is where the toolchain says. */
  async ready(): Promise<boolean> {
    return this.#usable().then(
      () => true,
      () => false,
    )
  }

  // Asked before each run: bubblewrap's own words for a missing folder could not be told from any other failure of it.
  async #usable(): Promise<Toolchain> {
    const toolchain = this.#toolchain
    if (!toolchain) throw new Failure('tectonic_unavailable')
    const needed = [toolchain.tectonic, toolchain.loader?.ldso, toolchain.bundle, toolchain.texCache]
    await Promise.all(needed.map((path) => path && access(path))).catch((cause) => {
      throw new Failure('tectonic_unavailable', { cause })
    })
    return toolchain
  }
}

function record(span: Span, { pid, code, cpuSeconds, peakMemoryBytes }: Ended, passes: number): void {
  span.setAttribute(ATTR_COMPILE_PASSES, passes)
  if (pid !== undefined) span.setAttribute(ATTR_PROCESS_PID, pid)
  if (code !== undefined) span.setAttribute(ATTR_PROCESS_EXIT_CODE, code)
  if (cpuSeconds !== undefined) span.setAttribute(ATTR_COMPILE_CPU_TIME, cpuSeconds)
  if (peakMemoryBytes !== undefined) span.setAttribute(ATTR_COMPILE_MEMORY_PEAK, peakMemoryBytes)
}

// The folder was TeX's to write in, so a link in the PDF's place is not followed. Its size has a bound from prlimit.
async function readPdf(job: string): Promise<Uint8Array> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)
  const file = await open(join(job, `${JOB}.pdf`), flags).catch((cause) => {
    throw new Failure('tectonic_crash', { cause })
  })
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}
