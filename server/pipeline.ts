/** One run, stage by stage: llm → latex → compile → validate → dist/. */

import { rename, writeFile } from 'node:fs/promises'
import { type Context, context, type Link, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import {
  ATTR_ERROR_TYPE,
  ATTR_FAILURE_CODE,
  ATTR_STAGE,
  SPAN_COMPILE,
  SPAN_LATEX,
  SPAN_LLM,
  SPAN_VALIDATE,
} from '../names.ts'
import type { ServerStage } from './contract.ts'
import { Failure } from './failure.ts'
import { renderLatex } from './latex.ts'
import { validatePdf } from './pdf.ts'
import type { GenerateRequest } from './request-contract.ts'
import type { RunLog } from './runs.ts'
import { type Model, tailor } from './tailor.ts'
import type { Tectonic } from './tectonic.ts'

const SPAN_OF: Record<ServerStage, string> = {
  llm: SPAN_LLM,
  latex: SPAN_LATEX,
  compile: SPAN_COMPILE,
  validate: SPAN_VALIDATE,
}

const tracer = trace.getTracer('pass-ats.pipeline')

export interface Pipeline {
  /** Without one, rules choose. */
  model: Model | undefined
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
  { model, tectonic, template, log }: Pipeline,
  run: RunLog,
  request: GenerateRequest,
  parent: Context,
  cause: Link[],
): Promise<void> {
  const begin = (name: ServerStage) => run.append({ type: 'stage', stage: name, state: 'started' })
  const stage = async <T>(name: ServerStage, work: () => Promise<T>): Promise<T> => {
    const result = await inStage(name, parent, cause, work)
    run.append({ type: 'stage', stage: name, state: 'finished' })
    return result
  }
  try {
    const { signal } = run.abort
    const resume = await stage('llm', () =>
      tailor(request, model, signal, {
        install: run.owner,
        onQueued: (ahead) => run.append({ type: 'queued', ahead }),
        onTurn: () => begin('llm'),
        onWriting: (statements, correcting) => run.append({ type: 'writing', statements, correcting }),
      }),
    )
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
      terms: resume.terms,
      wording: resume.wording,
    })
    log.info({ run: run.id, request_id: run.requestId, pages, sizeBytes }, 'run done')
  } catch (error) {
    const failure = Failure.from(error)
    run.append({ type: 'failed', failure: failure.toBody() })
    // The cause's message may quote a resume; its class says enough to find the place.
    const { code, reason } = failure
    log.warn({ run: run.id, request_id: run.requestId, code, reason, cause: causeOf(failure) }, 'run failed')
  }
}

/** Runs one stage in its span; a failure marks the span with its code, and goes on. */
export async function inStage<T>(
  name: ServerStage,
  parent: Context,
  links: Link[],
  work: () => Promise<T>,
): Promise<T> {
  const span = tracer.startSpan(SPAN_OF[name], { attributes: { [ATTR_STAGE]: name }, links }, parent)
  try {
    return await context.with(trace.setSpan(parent, span), work)
  } catch (error) {
    const failure = Failure.from(error)
    span.setStatus({ code: SpanStatusCode.ERROR })
    span.setAttributes({ [ATTR_FAILURE_CODE]: failure.code, [ATTR_ERROR_TYPE]: failure.reason ?? failure.code })
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

/** `Ada-Lovelace-Acme.pdf`: letters, digits and hyphens of any script, so that every file system takes it. */
function fileNameOf({ profile, posting }: GenerateRequest): string {
  const words = `${profile.basics.name} ${posting.company}`.normalize('NFKC').match(/[\p{L}\p{N}]+/gu) ?? []
  // By characters: half of a surrogate pair is no text, and cannot be put into a header.
  return `${Array.from(words.join('-')).slice(0, 80).join('') || 'resume'}.pdf`
}

function causeOf(failure: Failure): string | undefined {
  return failure.cause instanceof Error ? failure.cause.name : undefined
}
