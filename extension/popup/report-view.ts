/** What a report sends and what became of it, in words: everything that can be decided without a DOM. */

import {
  RESOURCE_BROWSER_BRANDS,
  RESOURCE_BROWSER_LANGUAGE,
  RESOURCE_BROWSER_PLATFORM,
  RESOURCE_INSTALLATION_ID,
  RESOURCE_SERVICE_NAME,
  RESOURCE_SERVICE_VERSION,
  RPC_EXTRACT_POSTING,
  RPC_START_RUN,
  SPAN_DELIVER,
  SPAN_EXTRACT,
  SPAN_EXTRACT_STRATEGY,
  SPAN_GENERATE,
  SPAN_RUN,
} from '../../names.ts'
import type { PastRun } from '../past-runs.ts'
import type { Report } from '../traces.ts'
import { clockText, durationText } from './duration.ts'

export interface Fact {
  name: string
  value: string
}

/** One span. */
export interface ReportedStep {
  words: string
  duration: string
  outcome: 'OK' | 'Failed'
  /** How many steps it is a part of, one in another. */
  depth: number
  /** Milliseconds after the first of them. */
  startsAfter: number
  facts: Fact[]
}

/** The body of the request, readable. Nothing of it is left out. */
export interface ReportContent {
  about: Fact[]
  steps: ReportedStep[]
  /** The same body, indented. */
  json: string
}

/** How things stand with a run's report before the button is pressed. */
export interface Standing {
  lead: string
  /** Absent when there is nothing more to do. */
  button?: string
}

const WORDS: Record<string, string> = {
  [SPAN_RUN]: 'The whole run',
  [SPAN_EXTRACT]: 'Read the posting',
  [SPAN_EXTRACT_STRATEGY]: 'One way of reading it',
  [SPAN_GENERATE]: 'Have the resume made',
  [SPAN_DELIVER]: 'Bring the PDF here',
  [`${RPC_START_RUN} 3`]: 'Ask for a run',
  [`${RPC_START_RUN} 2`]: 'Start the run',
  [`${RPC_EXTRACT_POSTING} 3`]: 'Ask the page',
  [`${RPC_EXTRACT_POSTING} 2`]: 'Answer from the page',
  POST: 'Hand it to the service',
  GET: 'Hear from the service',

  [RESOURCE_SERVICE_NAME]: 'Sent by',
  [RESOURCE_SERVICE_VERSION]: 'Version',
  [RESOURCE_INSTALLATION_ID]: 'Random installation ID',
  [RESOURCE_BROWSER_LANGUAGE]: 'Language',
  [RESOURCE_BROWSER_BRANDS]: 'Browser',
  [RESOURCE_BROWSER_PLATFORM]: 'System',
}
const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const FAILED = 2

interface Value {
  [kind: string]: unknown
}
interface Attribute {
  key: string
  value: Value
}
interface Span {
  name: string
  kind: number
  spanId: string
  parentSpanId?: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Attribute[]
  events: { name: string; timeUnixNano: string; attributes: Attribute[] }[]
  status: { code: number }
}
interface Body {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: Span[] }[] }[]
}

/** Reads an OTLP JSON body of POST /v1/traces. Throws when it is none. */
export function contentOf(body: string): ReportContent {
  const parsed = JSON.parse(body) as Body
  const spans = parsed.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  const start = Math.min(...spans.map(({ startTimeUnixNano }) => milliseconds(startTimeUnixNano)))
  return {
    about: parsed.resourceSpans.flatMap(({ resource }) =>
      factsOf(resource.attributes).map(({ name, value }) => ({ name: WORDS[name] ?? name, value })),
    ),
    steps: spans
      .map((span) => stepOf(span, start, depthOf(span, spans)))
      // What contains another comes before it, also where the two start together.
      .sort((a, b) => a.startsAfter - b.startsAfter || a.depth - b.depth),
    json: JSON.stringify(parsed, undefined, 2),
  }
}

/** `run` as the list has it: undefined when it is not on it any more. */
export function standingOf(run: PastRun | undefined, { state, body }: Report): Standing {
  if (state === 'sent') return { lead: 'You have reported this run. Support can look it up by its ID.' }
  if (state === 'waiting')
    return {
      lead: 'You have reported this run, but we couldn’t reach the service yet. The report will be sent by itself.',
      button: 'Try again now',
    }
  if (body !== undefined) return { lead: CONTENT_WORDS, button: 'Send report' }
  if (run?.trace === 'sent')
    return {
      lead: 'The record of this run has been sent already. The report sends nothing more: it asks the service to keep what it has.',
      button: 'Send report',
    }
  return {
    lead: 'This browser no longer has its record of this run: a record is held for a day at most. The report asks the service to keep what it has of the run itself.',
    button: 'Send report',
  }
}

const CONTENT_WORDS =
  'This is all that is sent: steps, times, sizes and error codes; your browser’s version, language and system; the address of the resume service; random IDs; and the job site’s name such as jobs.lever.co. Never your profile, the posting’s text, or the page’s address.'

/** What the service, or its absence, answered. */
export function answerOf({ state, again }: Report, id: string): string {
  if (state === 'sent') return `Sent. Tell support this ID: ${id.slice(0, 8)}`
  if (state === 'gone') return 'Nothing of this run is left, neither here nor at the service.'
  const when = again === undefined ? 'as soon as it can be reached' : `at ${clockText(again)}`
  return `We couldn’t reach the service. The report will be sent by itself ${when}.`
}

function stepOf(span: Span, start: number, depth: number): ReportedStep {
  const [startedAt, endedAt] = [milliseconds(span.startTimeUnixNano), milliseconds(span.endTimeUnixNano)]
  return {
    words: WORDS[`${span.name} ${span.kind}`] ?? WORDS[span.name] ?? span.name,
    duration: durationText(endedAt - startedAt),
    outcome: span.status.code === FAILED ? 'Failed' : 'OK',
    depth,
    startsAfter: startedAt - start,
    facts: [
      { name: 'name', value: `${span.name} (${KINDS[span.kind] ?? span.kind})` },
      { name: 'starts after', value: durationText(startedAt - start) },
      ...factsOf(span.attributes),
      ...span.events.map(({ name, timeUnixNano, attributes }) => ({
        name: 'event',
        value: [
          `${name} after ${durationText(milliseconds(timeUnixNano) - start)}`,
          ...factsOf(attributes).map((fact) => `${fact.name}: ${fact.value}`),
        ].join(', '),
      })),
      { name: 'span', value: span.spanId },
      ...(span.parentSpanId ? [{ name: 'part of', value: span.parentSpanId }] : []),
    ],
  }
}

function depthOf(span: Span, spans: readonly Span[]): number {
  const parent = span.parentSpanId && spans.find(({ spanId }) => spanId === span.parentSpanId)
  return parent && parent !== span ? 1 + depthOf(parent, spans) : 0
}

function factsOf(attributes: readonly Attribute[]): Fact[] {
  return attributes.map(({ key, value }) => ({ name: key, value: textOf(value) }))
}

/** An OTLP value has one key, its kind. A list is written out as JSON. */
function textOf(value: Value): string {
  const [inner] = Object.values(value)
  return typeof inner === 'object' ? JSON.stringify(inner) : String(inner)
}

const milliseconds = (nanos: string) => Number(BigInt(nanos) / 1_000n) / 1_000
