/** One run, stage by stage: llm → latex → compile → validate → dist/. */

import { type Context, context, type Link, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { METRICS } from '../metric-names.ts'
import { histogram } from '../metrics.ts'
import { ATTR_RUN_ATTEMPT, ATTR_STAGE, SPAN_COMPILE, SPAN_LATEX, SPAN_LLM, SPAN_VALIDATE } from '../names.ts'
import type { FailureCode, ServerStage } from './contract.ts'
import { Failure } from './failure.ts'
import { MAX_PAGES } from './fit.ts'
import { keywordsOf, score } from './keywords.ts'
import { type LatexDocument, renderLatex } from './latex.ts'
import { countPages, validatePdf } from './pdf.ts'
import { SYNTHETIC } from './quota.ts'
import type { GenerateRequest } from './request-contract.ts'
import { outcomeOf } from './run-counts.ts'
import type { Order, RunUnderWay } from './runs.ts'
import { recordFailure } from './span-failure.ts'
import { type Model, type Resume, tailor } from './tailor.ts'
import type { Tectonic } from './tectonic.ts'
import { type Typeface, typefaceOf } from './typeface.ts'

const SPAN_OF: Record<ServerStage, string> = {
  llm: SPAN_LLM,
  latex: SPAN_LATEX,
  compile: SPAN_COMPILE,
  validate: SPAN_VALIDATE,
}

const tracer = trace.getTracer('pass-ats.pipeline')
const stages = histogram(METRICS.stageDuration, { stage: ['queue', 'llm', 'latex', 'compile', 'validate'] })

export interface Pipeline {
  /** Without one, rules choose. */
  model: Model | undefined
  tectonic: Tectonic
  /** LaTeX with the placeholders of `resume.tex`. */
  template: string
  log: Logger
}

/** Whether a resume could be made now: everything is there, and the template has been measured. Never rejects. */
export async function canMakeResumes({ tectonic, template }: Pick<Pipeline, 'tectonic' | 'template'>) {
  if (!(await tectonic.ready())) return false
  return typefaceOf(tectonic, template).then(
    () => true,
    () => false,
  )
}

/**
 * Runs the stages and appends their events to the run. Never throws: a failure is the run's last event, and is
 * recorded on the span of the stage it happened in.
 *
 * The order's parent is the span that waits for the run; its links lead to the request that started it, whose own span
 * has ended with its 202 long before the stages have.
 */
export async function runPipeline(
  { model, tectonic, template, log }: Pipeline,
  run: RunUnderWay,
  { request, parent, links }: Order,
): Promise<void> {
  const { signal } = run.abort
  const runLog = log.child({ run: run.id, request_id: run.requestId })
  const queue = createQueueClock()
  const begin = (name: ServerStage) => run.append({ type: 'stage', stage: name, state: 'started' })
  const stage = async <T>(name: ServerStage, work: () => Promise<T>): Promise<T> => {
    // Between two stages nothing would notice that the run has been stopped.
    if (signal.aborted) throw Failure.ofAbort(signal)
    const began = { at: performance.now(), waitedMs: queue.waitedMs() }
    const count = (code?: FailureCode) => {
      const ms = performance.now() - began.at - (queue.waitedMs() - began.waitedMs)
      stages.observe({ stage: name, outcome: outcomeOf(code), synthetic: run.synthetic }, ms / 1_000, run.id)
    }
    const result = await inStage(name, { parent, links, attempt: run.attempt }, work, runLog).catch((error) => {
      count(Failure.from(error).code)
      throw error
    })
    count()
    run.append({ type: 'stage', stage: name, state: 'finished' })
    return result
  }
  try {
    const resume = await stage('llm', () =>
      tailor(request, model, signal, {
        install: run.synthetic ? SYNTHETIC : run.owner,
        onQueued: (ahead) => {
          queue.waits()
          run.append({ type: 'queued', ahead })
        },
        onTurn: () => {
          queue.goesOn()
          begin('llm')
        },
        onWriting: (statements, correcting) => run.append({ type: 'writing', statements, correcting }),
      }),
    )
    const typeface = await untilAborted(typefaceOf(tectonic, template), signal).catch(Failure.from)
    if (typeface instanceof Failure) {
      // Measuring is compiling: what stands in its way would stand in the way of the resume.
      begin('compile')
      return await stage('compile', () => Promise.reject(typeface))
    }
    begin('latex')
    const render = rendering(request, resume, typeface, template)
    const rendered = await stage('latex', async () => render(0))
    let compiling = false
    const compile = async ({ tex, fields }: LatexDocument) => {
      const { pdf } = await tectonic.compile(tex, {
        trust: 'own',
        fields,
        signal,
        onQueued: (ahead) => {
          queue.waits()
          run.append({ type: 'queued', ahead })
        },
        onTurn: () => {
          queue.goesOn()
          if (!compiling) begin('compile')
          compiling = true
        },
      })
      return pdf
    }
    const { document, pdf } = await stage('compile', () => compileToFit(rendered, render, compile))
    begin('validate')
    const { pages, sizeBytes } = await stage('validate', async () => {
      const valid = await validatePdf(pdf, document)
      if (signal.aborted) throw Failure.ofAbort(signal)
      await run.publish(pdf)
      return valid
    })
    run.append({
      type: 'done',
      pages,
      sizeBytes,
      fileName: fileNameOf(request),
      keywordsMatched: resume.keywords.matched,
      keywordsTotal: resume.keywords.total,
      terms: resume.terms,
      wording: resume.wording,
      leftOut: document.leftOut,
    })
  } catch (error) {
    run.append({ type: 'failed', failure: Failure.from(error).toBody() })
  }
  const { end } = run
  const ended = { outcome: outcomeOf(end?.type === 'failed' ? end.failure.code : undefined), synthetic: run.synthetic }
  stages.observe({ stage: 'queue', ...ended }, queue.waitedMs() / 1_000, run.id)
  // Stopped while the PDF was on its way to its place: nobody will ask for it.
  if (end?.type !== 'done') await run.discard()
  const outcome = end?.type === 'failed' ? end.failure.code : (end?.type ?? 'left')
  context.with(parent, () => runLog.info({ outcome, attempt: run.attempt, ms: run.ageMs }, 'run ended'))
}

/** How long a run has waited for its turns, all together: no stage's time. */
function createQueueClock() {
  let waitedMs = 0
  let since: number | undefined
  return {
    /** It waits, from now or from before. */
    waits: () => {
      since ??= performance.now()
    },
    goesOn: () => {
      waitedMs += since === undefined ? 0 : performance.now() - since
      since = undefined
    },
    waitedMs: () => waitedMs + (since === undefined ? 0 : performance.now() - since),
  }
}

// What was reckoned to fit and did not is over by a few rows of 12 points.
const SPARE_ON_RETRY = [36, 120]

/** Compiles, and again with less on the pages when they have become too many; after the last try, whatever it is. */
export async function compileToFit(
  document: LatexDocument,
  render: (spare: number) => LatexDocument,
  compile: (document: LatexDocument) => Promise<Uint8Array>,
): Promise<{ document: LatexDocument; pdf: Uint8Array }> {
  let pdf = await compile(document)
  for (const spare of SPARE_ON_RETRY) {
    // One page reckoned is not three: most resumes need not be opened for this.
    if (document.pages < MAX_PAGES || (await countPages(pdf)) <= MAX_PAGES) break
    document = render(spare)
    pdf = await compile(document)
  }
  return { document, pdf }
}

function rendering({ profile, posting }: GenerateRequest, resume: Resume, typeface: Typeface, template: string) {
  const keywords = keywordsOf(posting)
  const fitOf = (bullet: string) => score(bullet, keywords)
  return (spare: number) => renderLatex(resume, { typeface, template, profile, fitOf, spare })
}

/** The same promise, and the failure that the signal was aborted with as soon as it is. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const give = () => reject(Failure.ofAbort(signal))
    if (signal.aborted) give()
    else signal.addEventListener('abort', give, { once: true })
  })
  return Promise.race([promise, aborted])
}

/** Runs one stage in its span, with one line in the log of how it ended; a failure marks the span, and goes on. */
export async function inStage<T>(
  name: ServerStage,
  { parent, links = [], attempt = 1 }: { parent: Context; links?: Link[]; attempt?: number },
  work: () => Promise<T>,
  log?: Logger,
): Promise<T> {
  const startedAt = performance.now()
  const tell = (level: 'info' | 'warn', outcome: object) =>
    context.with(trace.setSpan(parent, span), () =>
      log?.[level]({ stage: name, ...outcome, ms: Math.round(performance.now() - startedAt) }, 'stage ended'),
    )
  // A stage that stands there twice says why.
  const attributes = { [ATTR_STAGE]: name, ...(attempt > 1 && { [ATTR_RUN_ATTEMPT]: attempt }) }
  const span = tracer.startSpan(SPAN_OF[name], { attributes, links }, parent)
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

/** `Ada-Lovelace-Acme.pdf`: letters, digits and hyphens of any script, so that every file system takes it. */
function fileNameOf({ profile, posting }: GenerateRequest): string {
  const words = `${profile.basics.name} ${posting.company}`.normalize('NFKC').match(/[\p{L}\p{N}]+/gu) ?? []
  // By characters: half of a surrogate pair is no text, and cannot be put into a header.
  return `${Array.from(words.join('-')).slice(0, 80).join('') || 'resume'}.pdf`
}

function causeOf(failure: Failure): string | undefined {
  return failure.cause instanceof Error ? failure.cause.name : undefined
}
