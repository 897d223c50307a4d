/** How a span tells of a failure. */

import { type Span, SpanStatusCode } from '@opentelemetry/api'
import { ATTR_ERROR_TYPE, ATTR_FAILURE_CODE, ATTR_LATEX_ERROR_LINE, ATTR_LATEX_ERROR_PART } from '../names.ts'
import type { Failure } from './failure.ts'

/**
 * Marks the span with the failure's code, and where LaTeX stopped. What the person has cancelled is no error, as the HTTP conventions have it for
 * a request that its caller aborts: the status stays unset, and the trace is sampled like one that worked.
 */
export function recordFailure(span: Span, failure: Failure, errorType = failure.reason ?? failure.code): void {
  const { code, latexErrorLine, latexErrorPart } = failure
  span.setAttribute(ATTR_FAILURE_CODE, code)
  if (latexErrorLine !== undefined) span.setAttribute(ATTR_LATEX_ERROR_LINE, latexErrorLine)
  if (latexErrorPart !== undefined) span.setAttribute(ATTR_LATEX_ERROR_PART, latexErrorPart)
  if (code === 'cancelled') return
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.setAttribute(ATTR_ERROR_TYPE, errorType)
}
