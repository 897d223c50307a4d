/** One run, stage by stage: llm → latex → compile → validate → dist/. */

import { rename, rm, writeFile } from 'node:fs/promises'
import { type Context, context, type Link, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { ATTR_STAGE, SPAN_COMPILE, SPAN_LATEX, SPAN_LLM, SPAN_VALIDATE } from '../names.ts'
import type { ServerStage } from './contract.ts'
import { Failure } from './failure.ts'
import { renderLatex } from './latex.ts'
import type { Llm } from './llm.ts'
import { validatePdf } from './pdf.ts'
import type { GenerateRequest } from './request-contract.ts'
import type { RunLog } from './runs.ts'
import { recordFailure } from './span-failure.ts'
import { tailor } from './tailor.ts'
import type { Tectonic } from './tectonic.ts'

const SPAN_OF: Record<ServerStage, string> = {
  llm: SPAN_LLM,
  latex: SPAN_LATEX,
  compile: SPAN_COMPILE,
  validate: SPAN_VALIDATE,
}

const tracer = trace.getTracer('pass-ats.pipeline')

export interface Pipeline {
  llm: Llm | undefined
  tectonic: Tectonic
  /** LaTeX with the placeholders of `resume.tex`. */
  template: string
  log: Logger
}

/**
 * Runs the stages and appends their events to the run. Never throws: a failure is the run's last event, and is
 * recorded on the span of the stage it happened in.
 *
 * `parent` is the span that waits for the run; `cause` links to the request that started it, whose own span has
 * ended with its 202 long before the stages have.
 */
export async function runPipeline(
  { llm, tectonic, template, log }: Pipeline,
  run: RunLog,
  request: GenerateRequest,
  parent: Context,
  cause: Link[],
): Promise<void> {
  const { signal } = run.abort
  const runLog = log.child({ run: run.id, request_id: run.requestId })
  const begin = (name: ServerStage) => run.append({ type: 'stage', stage: name, state: 'started' })
  const stage = async <T>(name: ServerStage, work: () => Promise<T>): Promise<T> => {
    // Between two stages nothing would notice that the run has been stopped.
    if (signal.aborted) throw Failure.ofAbort(signal)
    const result = await inStage(name, parent, cause, work, runLog)
    run.append({ type: 'stage', stage: name, state: 'finished' })
    return result
  }
  try {
    begin('llm')
    const resume = await stage('llm', () => tailor(request, llm, signal))
    begin('latex')
    const document = await stage('latex', async () => renderLatex(resume, template))
    const { pdf } = await stage('compile', () =>
      tectonic.compile(document.tex, {
        trust: 'own',
        signal,
        onQueued: (ahead) => run.append({ type: 'queued', ahead }),
        onTurn: () => begin('compile'),
      }),
    )
    begin('validate')
    const { pages, sizeBytes } = await stage('validate', async () => {
      const valid = await validatePdf(pdf, document.mustContain)
      if (signal.aborted) throw Failure.ofAbort(signal)
      await publish(run, pdf)
      return valid
    })
    run.append({
      type: 'done',
      pages,
      sizeBytes,
      fileName: fileNameOf(request),
      keywordsMatched: resume.keywords.matched,
      keywordsTotal: resume.keywords.total,
    })
  } catch (error) {
    run.append({ type: 'failed', failure: Failure.from(error).toBody() })
  }
  const { end } = run
  // Stopped while the PDF was on its way to its place: nobody will ask for it.
  if (end?.type !== 'done') await removePdf(run)
  const outcome = end?.type === 'failed' ? end.failure.code : 'done'
  context.with(parent, () => runLog.info({ outcome, attempt: run.attempt, ms: run.ageMs }, 'run ended'))
}

/** Runs one stage in its span, with one line in the log of how it ended; a failure marks the span, and goes on. */
export async function inStage<T>(
  name: ServerStage,
  parent: Context,
  links: Link[],
  work: () => Promise<T>,
  log?: Logger,
): Promise<T> {
  const startedAt = performance.now()
  const tell = (level: 'info' | 'warn', outcome: object) =>
    context.with(trace.setSpan(parent, span), () =>
      log?.[level]({ stage: name, ...outcome, ms: Math.round(performance.now() - startedAt) }, 'stage ended'),
    )
  const span = tracer.startSpan(SPAN_OF[name], { attributes: { [ATTR_STAGE]: name }, links }, parent)
  try {
    const result = await context.with(trace.setSpan(parent, span), work)
    tell('info', { outcome: 'ok' })
    return result
  } catch (error) {
    const failure = Failure.from(error)
    recordFailure(span, failure)
    // The cause's message may quote a resume; its class says enough to find the place.
    const { code, reason } = failure
    tell(code === 'cancelled' ? 'info' : 'warn', { outcome: code, reason, cause: causeOf(failure) })
    throw failure
  } finally {
    span.end()
  }
}

/** Whole or not at all: a reader never sees half a file. */
async function publish(run: RunLog, pdf: Uint8Array): Promise<void> {
  const half = `${run.pdfPath}.part`
  await writeFile(half, pdf)
  await rename(half, run.pdfPath)
}

async function removePdf(run: RunLog): Promise<void> {
  const gone = [run.pdfPath, `${run.pdfPath}.part`].map((path) => rm(path, { force: true }))
  // What cannot be removed now goes with what is past its time.
  await Promise.allSettled(gone)
}

/** `Ada-Lovelace-Acme.pdf`: letters, digits and hyphens of any script, so that every file system takes it. */
function fileNameOf({ profile, posting }: GenerateRequest): string {
  const words = `${profile.basics.name} ${posting.company}`.normalize('NFKC').match(/[\p{L}\p{N}]+/gu) ?? []
  // By characters: half of a surrogate pair is no text, and cannot be put into a header.
  return `${Array.from(words.join('-')).slice(0, 80).join('') || 'resume'}.pdf`
}

function causeOf(failure: Failure): string | undefined {
  return failure.cause instanceof Error ? failure.cause.name : undefined
}
