/**
 * What may be kept is the closed list of names.ts, applied again to what others send: a sender may be older, forged or
 * broken. What is taken away is counted.
 */
import * as names from '../../names.ts'
import { ByteSet, isSame, viewOf } from './byte-set.ts'
import { isSuspicious, probe, type Reason } from './probe.ts'

/** What was taken out of a request, by kind. Of what did not fit into the list a few names are told, no values. */
export interface Scrubbed {
  /** Attributes that are not listed. */
  attributes: number
  /** Events that are not listed. */
  events: number
  /** Links whose IDs are none. */
  links: number
  /** Span names that are not listed and have no conventional shape; they became `other`. */
  names: number
  /** Free texts of a span's status. */
  messages: number
  /** Fields that the protocol does not have, or that nothing of ours sends. */
  fields: number
  /** Texts that were struck or cut, by reason. */
  values: Partial<Record<Reason, number>>
  /** At most {@link MAX_SAMPLE} different names of attributes that are not listed; `other` for what is no name. */
  sample: string[]
}

const MAX_SAMPLE = 5
const ATTRIBUTE_NAME = /^[a-z0-9_.-]{1,64}$/i

const entries = Object.entries(names)
const listed = (prefix: RegExp) => entries.filter(([constant]) => prefix.test(constant)).map(([, name]) => name)
const attributes = listed(/^(ATTR|RESOURCE)_/)
const ATTRIBUTES = new ByteSet(attributes)
const EVENTS = new ByteSet(listed(/^EVENT_/))
/** What takes the place of a span name that may not stay. */
export const OTHER = 'other'
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY', 'HTTP']
const SPAN_NAMES = new ByteSet([...listed(/^(SPAN|RPC)_/), ...METHODS, OTHER, ''])
const MAX_SPAN_NAME = 136
/** `{method} {route}` and `chat {model}`, as the conventions have it. */
const SPAN_NAME = new RegExp(`^(?:(?:${METHODS.join('|')}) /[\\w./{}:*-]{0,127}|chat [\\w.:/@-]{1,127})$`)

/** Random by definition, so that looking random says nothing. */
const IDS = new Set<string>([
  names.ATTR_SESSION_ID,
  names.ATTR_GEN_AI_RESPONSE_ID,
  names.RESOURCE_INSTALLATION_ID,
  names.RESOURCE_SERVICE_INSTANCE_ID,
])
const IS_ID = attributes.map((name) => IDS.has(name))

/** Where an attribute stands in the list, for {@link Scrubber.text}; UNLISTED for one that is to go. */
export type Listing = number
export const UNLISTED: Listing = -1
/** A text outside of attributes. */
export const NO_ATTRIBUTE: Listing = -2

// A mark at the beginning is part of the text.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** What the attribute is whose name stands there. */
export function listingOf(view: DataView, from: number, to: number): Listing {
  return ATTRIBUTES.indexOf(view, from, to)
}

/** Whether an event of this name may be kept. */
export function isListedEvent(view: DataView, from: number, to: number): boolean {
  return EVENTS.indexOf(view, from, to) >= 0
}

function isSpanName(view: DataView, from: number, to: number): boolean {
  if (SPAN_NAMES.indexOf(view, from, to) >= 0) return true
  if (to - from > MAX_SPAN_NAME) return false
  const name = utf8.decode(new Uint8Array(view.buffer, view.byteOffset + from, to - from))
  return SPAN_NAME.test(name) && probe(name, false) === undefined
}

// One for all requests, which are scanned one after another.
/** By length, where a name stands that is allowed: most spans have the name of one before. */
const ALLOWED_NAMES = new Int32Array(MAX_SPAN_NAME + 1)

/** Strikes and counts, for one request; a new one ends the one before. */
export class Scrubber {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #sample = new Set<string>()
  readonly #values: Partial<Record<Reason, number>> = {}
  #count = { attributes: 0, events: 0, links: 0, names: 0, messages: 0, fields: 0 }
  #scrubbed = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    ALLOWED_NAMES.fill(-1)
  }

  /** Whether a span may have this name: it is listed, or has a conventional shape and nothing in it. */
  isSpanName(from: number, to: number): boolean {
    const length = to - from
    const before = ALLOWED_NAMES[length] ?? -1
    if (before >= 0 && isSame(this.#view, from, this.#view, before, length)) return true
    const allowed = isSpanName(this.#view, from, to)
    if (allowed) ALLOWED_NAMES[length] = from
    return allowed
  }

  /** The same for what had to be decoded. */
  isDecodedSpanName(text: string): boolean {
    const bytes = Buffer.from(text)
    return isSpanName(viewOf(bytes), 0, bytes.length)
  }

  /** What a text becomes when it may not stay; counts it then. */
  text(from: number, to: number, listing: Listing): string | undefined {
    if (!isSuspicious(this.#bytes, from, to)) return undefined
    return this.decoded(utf8.decode(this.#bytes.subarray(from, to)), listing)
  }

  /** The same for what had to be decoded. */
  decoded(text: string, listing: Listing): string | undefined {
    const found = probe(text, IS_ID[listing] ?? false)
    if (found) this.#strike(found.reason)
    return found?.value
  }

  /** Nothing of ours is bytes, and anything could be in them. */
  emptiedBytes(): void {
    this.#strike('bytes')
  }

  #strike(reason: Reason): void {
    this.#scrubbed = true
    this.#values[reason] = (this.#values[reason] ?? 0) + 1
  }

  dropped(what: 'events' | 'links' | 'names' | 'messages' | 'fields'): void {
    this.#scrubbed = true
    this.#count[what] += 1
  }

  droppedAttribute(from: number, to: number): void {
    this.#scrubbed = true
    this.#count.attributes += 1
    if (this.#sample.size === MAX_SAMPLE) return
    const name = to - from <= 64 ? utf8.decode(this.#bytes.subarray(from, to)) : ''
    this.#sample.add(ATTRIBUTE_NAME.test(name) ? name : OTHER)
  }

  result(): Scrubbed | undefined {
    return this.#scrubbed ? { ...this.#count, values: this.#values, sample: [...this.#sample] } : undefined
  }
}
