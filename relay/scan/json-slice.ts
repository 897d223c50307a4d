/** Some traces' spans cut out of a request in JSON, by its own bytes. */

import { JsonMessages, MEMBER, withoutRepetition } from './json-message.ts'
import { END_LIST, END_OBJECT, QUOTE } from './json-reader.ts'
import type { Threshold, Wanted } from './scan.ts'
import { withThreshold } from './tracestate.ts'

const BEGINNING = Buffer.from('{"traceId":"')

/** {@link slice} of a JSON body that {@link scanJson} has let through. */
export function sliceJson(body: Uint8Array, wanted: Wanted, threshold: Threshold): Uint8Array | undefined {
  const slice = new JsonSlice(body, wanted, threshold)
  const sliced = slice.slice()
  return slice.repeated ? new JsonSlice(withoutRepetition(body), wanted, threshold).slice() : sliced
}

class JsonSlice extends JsonMessages {
  readonly #body: Uint8Array
  readonly #wanted: Wanted
  readonly #threshold: Threshold
  /** The trace that the span before began with, and whether it is not wanted. */
  #last = ''
  #lastUnwanted = false

  constructor(body: Uint8Array, wanted: Wanted, threshold: Threshold) {
    super(body)
    this.#body = body
    this.#wanted = wanted
    this.#threshold = threshold
  }

  slice(): Uint8Array | undefined {
    const kept = this.#holding('The body', MEMBER.resourceSpans, 'resourceSpans', this.#resourceSpans)
    this.finish()
    return kept ? this.edits.apply(this.#body) : undefined
  }

  /**
   * Reads an object with a list: of its items those stay that `keep` says so of, everything else stays. Returns whether
   * any of them did.
   */
  #holding(what: string, list: number, listName: string, keep: (this: JsonSlice) => boolean): boolean {
    let kept = false
    for (let more = this.item(what); more; more = this.next(END_OBJECT, true)) {
      if (this.member() !== list) {
        this.skip()
        continue
      }
      for (let inner = this.list(listName), stays = true; inner; inner = this.next(END_LIST, stays)) {
        stays = keep.call(this)
        kept ||= stays
      }
    }
    return kept
  }

  #resourceSpans(): boolean {
    return this.#holding('An item of resourceSpans', MEMBER.scopeSpans, 'scopeSpans', this.#scopeSpans)
  }

  #scopeSpans(): boolean {
    return this.#holding('An item of scopeSpans', MEMBER.spans, 'spans', this.#span)
  }

  #span(): boolean {
    const at = this.pos
    if (this.#beginsUnwanted()) {
      this.pass()
      return false
    }
    let traceId = ''
    let tracestate = ''
    // Of its value, quotes included.
    let stateAt = -1
    let stateEnd = -1
    for (let more = this.item('An item of spans'); more; more = this.next(END_OBJECT, true)) {
      const member = this.member()
      if (member === MEMBER.traceId && this.bytes[this.pos] === 0x22) {
        this.string()
        traceId = this.text().toLowerCase()
      } else if (member === MEMBER.traceState) {
        stateAt = this.pos
        tracestate = this.textOf('traceState') ? this.text() : ''
        stateEnd = this.pos
      } else this.skip()
    }
    if (!/^[0-9a-f]{32}$/.test(traceId) || !this.#wanted(traceId)) return false
    const threshold = this.#threshold(traceId)
    const changed = threshold === undefined ? tracestate : withThreshold(tracestate, threshold)
    if (changed === tracestate) return true
    const text = JSON.stringify(changed)
    if (stateAt >= 0) this.edits.replace(stateAt, stateEnd, Buffer.from(text))
    else this.edits.replace(at + 1, at + 1, Buffer.from(`"traceState":${text},`))
    return true
  }

  /** Whether the span begins, as nearly all do, with the ID of its trace, and that is not wanted. */
  #beginsUnwanted(): boolean {
    const { bytes, pos } = this
    const from = pos + BEGINNING.length
    if (bytes[from + 32] !== QUOTE) return false
    for (let at = 0; at < BEGINNING.length; at += 1) if (bytes[pos + at] !== BEGINNING[at]) return false
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, 32).toString('latin1')
    if (text !== this.#last) {
      this.#last = text
      this.#lastUnwanted = /^[0-9a-f]{32}$/.test(text) && !this.#wanted(text)
    }
    return this.#lastUnwanted
  }
}
