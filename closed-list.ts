/**
 * What may be recorded is a closed list: a span leaves the process with the attributes and events that names.ts lists,
 * and with nothing else. Instrumentations add what they like (addresses of people, query strings, messages of errors
 * that quote a resume), and the next version of one may add more; a list of what to remove would always be behind.
 */
import { type Context, propagation } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import * as names from './names.ts'

const LISTED = new Set<string>()
const LISTED_EVENTS = new Set<string>()
for (const [constant, name] of Object.entries(names)) {
  if (/^(ATTR|RESOURCE)_/.test(constant)) LISTED.add(name)
  if (constant.startsWith('EVENT_')) LISTED_EVENTS.add(name)
}

/** The only baggage entry that becomes an attribute: a random ID, and it must look like one. */
const SESSION_ID = /^[\w-]{1,64}$/

/**
 * Goes before the exporting processor. When a span starts it takes the session's ID from the baggage; when it ends it
 * deletes every attribute and event that is not listed, the query of `url.full`, and the free text of the status.
 */
export class ClosedListProcessor implements SpanProcessor {
  onStart(span: Parameters<SpanProcessor['onStart']>[0], parent: Context): void {
    const session = propagation.getBaggage(parent)?.getEntry(names.ATTR_SESSION_ID)?.value
    if (session !== undefined && SESSION_ID.test(session)) span.setAttribute(names.ATTR_SESSION_ID, session)
  }

  onEnd(span: ReadableSpan): void {
    keepListed(span.attributes)
    const url = span.attributes[names.ATTR_URL_FULL]
    if (typeof url === 'string') span.attributes[names.ATTR_URL_FULL] = url.replace(/[?#].*$/s, '')
    // In place: the SDK's list is read-only, its content is not, and the exporter reads the same one.
    const kept = span.events.filter(({ name }) => LISTED_EVENTS.has(name))
    span.events.splice(0, span.events.length, ...kept)
    for (const { attributes } of [...span.events, ...span.links]) if (attributes) keepListed(attributes)
    delete span.status.message
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

function keepListed(attributes: Record<string, unknown>): void {
  for (const name of Object.keys(attributes)) {
    if (!LISTED.has(name) || attributes[name] === undefined) delete attributes[name]
  }
}
