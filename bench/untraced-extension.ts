/**
 * The extension as if nobody wanted to know how its runs go: no spans, no journal, no times told. A run still has an ID,
 * by which the server knows it, and a place in the list of past runs.
 */

import type { Plugin } from 'vite'

/** For the build of the whole extension. */
export const untraced: Plugin = {
  name: 'untraced',
  enforce: 'pre',
  load: (id) => Object.entries(INSTEAD).find(([file]) => id.endsWith(`/extension/${file}`))?.[1],
}

const JOURNAL = `
export const HELD_MS = 0
export const toHrTime = (epochMs) => [Math.floor(epochMs / 1000), 0]
export class Journal {
  async lost() { return { open: [], diedAt: 0 } }
  async ended() { return { traces: [], gone: [], dropped: {} } }
  async trace() {}
  async remove() {}
  async forceFlush() {}
}
`

const TRACER = `
const randomHex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('')
export const TRACE_FLAGS = 0
class NoSpan {
  constructor(traceId) { this.traceId = traceId }
  spanContext() { return { traceId: this.traceId, spanId: '', traceFlags: 0 } }
  setAttribute() { return this }
  setAttributes() { return this }
  setStatus() { return this }
  addEvent() { return this }
  end() {}
}
export class Tracer {
  constructor(_, sessionId) { this.sessionId = sessionId }
  start(_, parent) { return new NoSpan(parent ? parent.spanContext().traceId : randomHex(16)) }
  restart({ traceId }) { return new NoSpan(traceId) }
  abandon() {}
  checkpoint() {}
  async written() {}
  headers(span) { return { traceparent: '00-' + span.spanContext().traceId + '-' + randomHex(8) + '-00' } }
}
export function markFailed() {}
`

const TRACES = `
import { changePastRuns, withPastRun } from './past-runs.ts'
export class Traces {
  async settle({ id, status, startedAt, endedAt = Date.now(), posting, failure }) {
    await changePastRuns((runs) => withPastRun(runs, {
      ...{ id, status, startedAt, endedAt, trace: 'dropped' },
      ...(posting ? { posting } : {}),
      ...(failure ? { code: failure.code } : {}),
    }))
  }
  async upload() {}
  async report() { return { state: 'gone' } }
  async preview() { return { state: 'gone' } }
  async forget() {}
}
`

const INSTEAD: Record<string, string> = {
  'attempts.ts': 'export class Attempts { ended() {} }',
  'extraction-spans.ts': `export const isCode = (text) => /^[a-z][a-z_-]{0,31}$/.test(text)
export function recordExtraction() {}`,
  'run-timings.ts': 'export const timingsHeader = () => ({})',
  'tracer/journal.ts': JOURNAL,
  'tracer/tracer.ts': TRACER,
  'traces.ts': TRACES,
}
