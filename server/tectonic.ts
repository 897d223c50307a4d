/** LaTeX in, PDF out: one Tectonic process at a time and slot, in a folder of its own, under limits, with its span. */

import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Span, SpanKind, trace } from '@opentelemetry/api'
import { METRICS } from '../metric-names.ts'
import { counter, gauge, histogram } from '../metrics.ts'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_COMPILE_FORMAT,
  ATTR_COMPILE_MEMORY_PEAK,
  ATTR_COMPILE_OUTCOME,
  ATTR_COMPILE_PASSES,
  ATTR_COMPILE_SANDBOXED,
  ATTR_PROCESS_EXECUTABLE_NAME,
  ATTR_PROCESS_EXIT_CODE,
  ATTR_PROCESS_PID,
  SPAN_TECTONIC,
} from '../names.ts'
import { isSynthetic } from '../synthetic.ts'
import type { FailureCode } from './contract.ts'
import { Failure } from './failure.ts'
import { Precedence } from './precedence.ts'
import { inputFolder, type Job, outputFolder, pdfName, tectonicCommand } from './sandbox.ts'
import { recordFailure } from './span-failure.ts'
import { type Ended, runToEnd } from './tectonic-process.ts'
import { verdict } from './tectonic-verdict.ts'
import { isThere, type TemplateFormat } from './template-format.ts'
import type { Toolchain } from './toolchain.ts'
import { Turns } from './turns.ts'

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

/** LaTeX from outside. Paths are relative, with slashes, and have been looked at: none leads out of the folder. */
export interface Source {
  files: ReadonlyMap<string, Uint8Array>
  /** The file to start with. */
  main: string
}

export interface CompileOptions {
  /** Whose LaTeX it is: our own template's, or anyone's, which never runs outside the sandbox. */
  trust: 'own' | 'foreign'
  /** Of our own: the profile's field by line, counted from 1. What has none is the template's. */
  fields?: readonly (string | undefined)[] | undefined
  signal?: AbortSignal | undefined
  /** Hears how many wait before it, each time that changes; never when it need not wait. */
  onQueued?: (ahead: number) => void
  /** Hears that the wait, if there was one, is over. */
  onTurn?: () => void
}

const duration = histogram(METRICS.compileDuration)
const memory = histogram(METRICS.compileMemory)
const cpu = counter(METRICS.compileCpu)
const waiting = gauge(METRICS.compileWaiting)

const MAIN = 'resume.tex'
const MAX_PASSES = 6 // Tectonic's own bound

/** How Tectonic ended, in the words of ATTR_COMPILE_OUTCOME. */
const OUTCOMES: Partial<Record<FailureCode, string>> = {
  latex_invalid: 'latex_error',
  unsupported_character: 'unsupported_character',
  compile_timeout: 'timeout',
  out_of_memory: 'out_of_memory',
  output_too_large: 'output_too_large',
  tectonic_unavailable: 'unavailable',
  sandbox_unavailable: 'unavailable',
}

/** One compilation: its files, and how to read what TeX says of them. */
interface Work extends Omit<Job, 'folder'> {
  trust: 'own' | 'foreign'
  files: ReadonlyMap<string, Uint8Array | string>
  /** Of our own document: the fields by line, and the lines that TeX does not count because they are in the format. */
  filled?: { skippedLines: number; fields: readonly (string | undefined)[] } | undefined
}

export class Tectonic {
  readonly #toolchain: Toolchain | undefined
  readonly #timeoutMs: number
  readonly #own: Turns
  readonly #foreign: Turns
  readonly #format: Promise<TemplateFormat | undefined>
  readonly #precedence = new Precedence()
  #prepared = false

  /**
   * `format` is the template's, once it is made; without one every page is compiled from scratch. It must not reject.
   * LaTeX from outside has a queue of its own, half as wide: what strangers send can hold up strangers only.
   */
  constructor(options: {
    toolchain: Toolchain | undefined
    format?: Promise<TemplateFormat | undefined> | undefined
    timeoutMs: number
    concurrency: number
    queueLimit: number
  }) {
    this.#toolchain = options.toolchain
    this.#timeoutMs = options.timeoutMs
    this.#own = new Turns(options)
    this.#foreign = new Turns({ ...options, concurrency: Math.ceil(options.concurrency / 2) })
    this.#format = (options.format ?? Promise.resolve(undefined)).finally(() => {
      this.#prepared = true
    })
  }

  /** Has the metric tell of this one's queues: of the one that serves people, not of those that try a template. */
  tellWaiting(): void {
    waiting.whenAsked(() => waiting.set({}, this.#own.waiting + this.#foreign.waiting))
  }

  /**
   * Compiles one file, or several. Throws Failure: latex_invalid, unsupported_character, compile_timeout, out_of_memory,
   * output_too_large, tectonic_crash, tectonic_unavailable, sandbox_unavailable, overloaded or interrupted. The process is
   * gone by then.
   */
  async compile(source: string | Source, options: CompileOptions): Promise<Compiled> {
    const { trust, fields, signal, onQueued, onTurn } = options
    const work = async () => {
      onTurn?.()
      // Making formats takes seconds and is nobody's compilation: who comes while the server starts waits for it here.
      const made = await this.#format
      // Removed under a server that has run for long: each page takes several times as long, and is made.
      const format = made && (await isThere(made.texCache)) ? made : undefined
      return this.#traced(
        typeof source === 'string' ? single(source, trust, format, fields) : several(source, trust),
        signal,
      )
    }
    return (trust === 'own' ? this.#own : this.#foreign).run(work, { signal, onQueued })
  }

  // The span starts when the process may: waiting for a turn is the compile stage's time, not Tectonic's.
  #traced(work: Work, signal: AbortSignal | undefined): Promise<Compiled> {
    const attributes = {
      [ATTR_PROCESS_EXECUTABLE_NAME]: 'tectonic',
      [ATTR_COMPILE_FORMAT]: work.format?.name ?? 'latex',
    }
    const tracer = trace.getTracer('pass-ats-server')
    return tracer.startActiveSpan(SPAN_TECTONIC, { kind: SpanKind.CLIENT, attributes }, async (span) => {
      const beganAt = performance.now()
      const ended = (outcome: string) => {
        span.setAttribute(ATTR_COMPILE_OUTCOME, outcome)
        duration.observe({ outcome, synthetic: isSynthetic() }, (performance.now() - beganAt) / 1_000)
      }
      try {
        const compile = () => this.#inJobFolder(work, signal, span)
        const compiled = await (work.trust === 'own' ? this.#precedence.first(compile) : compile())
        ended('ok')
        return compiled
      } catch (error) {
        const failure = Failure.from(error)
        // The code and the line, and nothing that TeX said: its messages quote the resume.
        recordFailure(span, failure, failure.code)
        ended(failure.isStop ? 'interrupted' : (OUTCOMES[failure.code] ?? 'crash'))
        throw failure
      } finally {
        span.end()
      }
    })
  }

  async #inJobFolder(work: Work, signal: AbortSignal | undefined, span: Span): Promise<Compiled> {
    const toolchain = await this.#usable()
    if (work.trust === 'foreign' && !toolchain.bwrap) throw new Failure('sandbox_unavailable')
    const folder = await mkdtemp(join(tmpdir(), 'pass-ats-compile-'))
    try {
      const job: Job = { ...work, folder }
      await writeJob(job, work.files)
      const command = tectonicCommand(toolchain, job)
      if (work.trust === 'foreign' && !command.sandboxed) throw new Failure('sandbox_unavailable')
      span.setAttribute(ATTR_COMPILE_SANDBOXED, command.sandboxed)
      const after = work.trust === 'own' ? undefined : this.#precedence
      const limits = { cwd: folder, timeoutMs: this.#timeoutMs, after, signal }
      const ended = await runToEnd(command, limits).catch((cause) => {
        throw new Failure('tectonic_unavailable', { cause })
      })
      const passes = Math.min(MAX_PASSES, ended.stdout.match(/^note: (?:Running|Rerunning) TeX\b/gm)?.length ?? 0)
      record(span, ended, passes)
      if (ended.aborted && signal) throw Failure.ofAbort(signal)
      const failure = verdict(ended, work)
      if (failure) throw failure
      const { wallSeconds, cpuSeconds, peakMemoryBytes, stdout, stderr } = ended
      const { sandboxed } = command
      const log = `${stdout}\n${stderr}`
      return { pdf: await readPdf(job), passes, sandboxed, wallSeconds, cpuSeconds, peakMemoryBytes, log }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Whether everything that a compilation needs is where the toolchain says, and the template's format is made. */
  async ready(): Promise<boolean> {
    if (!this.#prepared) return false
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

function single(
  tex: string,
  trust: CompileOptions['trust'],
  known: TemplateFormat | undefined,
  fields: CompileOptions['fields'] = [],
): Work {
  const format = trust === 'own' && known && tex.startsWith(known.preamble) ? known : undefined
  const preamble = format?.preamble ?? ''
  return {
    trust,
    files: new Map([[MAIN, tex.slice(preamble.length)]]),
    main: MAIN,
    format,
    // One pass is enough for our own template: no reference in it looks forward, so a second gives the same bytes.
    reruns: trust === 'own' ? 0 : undefined,
    filled: trust === 'own' ? { fields, skippedLines: preamble.split('\n').length - 1 } : undefined,
  }
}

function several({ files, main }: Source, trust: CompileOptions['trust']): Work {
  return { trust, files, main }
}

async function writeJob(job: Job, files: Work['files']): Promise<void> {
  await Promise.all([mkdir(inputFolder(job)), mkdir(outputFolder(job))])
  for (const [path, content] of files) {
    const target = join(inputFolder(job), path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, content, { flag: 'wx' })
  }
  // There before the sandbox is: it is mounted there, the one file that Tectonic can write to outside.
  await writeFile(join(outputFolder(job), pdfName(job)), '')
}

function record(span: Span, { pid, code, cpuSeconds, peakMemoryBytes }: Ended, passes: number): void {
  span.setAttribute(ATTR_COMPILE_PASSES, passes)
  if (pid !== undefined) span.setAttribute(ATTR_PROCESS_PID, pid)
  if (code !== undefined) span.setAttribute(ATTR_PROCESS_EXIT_CODE, code)
  const labels = { synthetic: isSynthetic() }
  if (cpuSeconds !== undefined) {
    span.setAttribute(ATTR_COMPILE_CPU_TIME, cpuSeconds)
    cpu.add(labels, cpuSeconds)
  }
  if (peakMemoryBytes === undefined) return
  span.setAttribute(ATTR_COMPILE_MEMORY_PEAK, peakMemoryBytes)
  memory.observe(labels, peakMemoryBytes)
}

// Without the sandbox the folder was TeX's to write in, so a link in the PDF's place is not followed.
async function readPdf(job: Job): Promise<Uint8Array> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)
  const file = await open(join(outputFolder(job), pdfName(job)), flags).catch((cause) => {
    throw new Failure('tectonic_crash', { cause })
  })
  try {
    const pdf = await file.readFile()
    if (pdf.length === 0) throw new Failure('tectonic_crash')
    return pdf
  } finally {
    await file.close()
  }
}
