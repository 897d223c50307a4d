/**
 * The wire format of protobuf, read where it lies (https://protobuf.dev/programming-guides/encoding/).
 *
 * Strict where protobufjs is not: a field number of 0 or over 29 bits, a number or length over its bits, a group, a text
 * that is no UTF-8 and a known field with a wire type that is not its own are refused. A reader that takes such a
 * field for unknown would not see what another reads from it.
 */
import { isUtf8 } from 'node:buffer'
import { Undecodable } from '../otlp.ts'
import { viewOf } from './byte-set.ts'
import { MAX_DEPTH, MAX_MARKS, tooDeep, tooManyMarks } from './limits.ts'

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

export class ProtobufReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where the next byte is read. */
  pos = 0
  /** Fields so far. */
  marks = 0

  constructor(body: Uint8Array) {
    // A plain view also of a Buffer, so that the code below sees one kind of array and no other.
    this.bytes = new Uint8Array(body.buffer, body.byteOffset, body.length)
    this.view = viewOf(this.bytes)
  }

  /** A field's tag, number and wire type in one. */
  tag(end: number): number {
    this.marks += 1
    if (this.marks > MAX_MARKS) throw tooManyMarks()
    const first = this.bytes[this.pos] as number
    const tag = first < 0x80 ? first : this.#varint(end)
    if (first < 0x80) this.pos += 1
    if (tag < 8 || tag > 0xffffffff) throw this.undecodable('A field has a number that there is none of')
    return tag
  }

  /** A field's length; returns where its content ends, and stands where it begins. */
  content(end: number): number {
    if (this.pos >= end) throw this.undecodable('A field is cut off')
    const first = this.bytes[this.pos] as number
    const length = first < 0x80 ? first : this.#varint(end)
    if (first < 0x80) this.pos += 1
    if (length > end - this.pos) throw this.undecodable('A field is longer than what it is in')
    return this.pos + length
  }

  /** Checks that a message may begin at this depth. */
  enter(depth: number): void {
    if (depth > MAX_DEPTH) throw tooDeep()
  }

  /**
   * A number of 32 bits. It has five bytes, or ten if it is negative: with six to nine it would be too large, and
   * protobufjs, which the look-up decodes with, would go on reading at the wrong place.
   */
  int32(end: number): number {
    const first = this.bytes[this.pos] as number
    if (first < 0x80 && this.pos < end) {
      this.pos += 1
      return first
    }
    const from = this.pos
    const value = this.int64(end)
    const size = this.pos - from
    if (size > 5 && size < 10) throw this.undecodable('A number is longer than 32 bits')
    return value
  }

  /** A number of 64 bits, of which the lower 32 are returned. */
  int64(end: number): number {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= end) throw this.undecodable('A number is cut off')
      const byte = this.bytes[this.pos] as number
      this.pos += 1
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw this.undecodable('A number is longer than 64 bits')
  }

  /** Passes over so many bytes. */
  fixed(size: number, end: number): void {
    this.pos += size
    if (this.pos > end) throw this.undecodable('A number is cut off')
  }

  /** Passes over a text; it begins where this stood after the length. Returns where it begins. */
  text(end: number): number {
    const to = this.content(end)
    const from = this.pos
    let seen = 0
    for (let at = from; at < to; at += 1) seen |= this.bytes[at] as number
    if (seen > 0x7f && !isUtf8(this.bytes.subarray(from, to))) throw this.undecodable('A text is not UTF-8')
    this.pos = to
    return from
  }

  /** Passes over the field of a tag that is not known here; `known` has the bits of the numbers that are. */
  skip(tag: number, known: number, end: number): void {
    const number = tag >>> 3
    if (number < 32 && (known >>> number) & 1) {
      throw this.undecodable('A field has a wire type that is not its own')
    }
    const type = tag & 7
    if (type === VARINT) this.int64(end)
    else if (type === FIXED64) this.fixed(8, end)
    else if (type === LENGTH) this.pos = this.content(end)
    else if (type === FIXED32) this.fixed(4, end)
    else throw this.undecodable('A field is a group or of no wire type')
  }

  undecodable(what: string): Undecodable {
    return new Undecodable(`${what}, near byte ${this.pos}.`)
  }

  /** A tag or length, which has at most five bytes, as everywhere else. */
  #varint(end: number): number {
    let value = 0
    let scale = 1
    for (let size = 0; size < 5; size += 1) {
      if (this.pos >= end) throw this.undecodable('A field is cut off')
      const byte = this.bytes[this.pos] as number
      this.pos += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    throw this.undecodable('A tag or length is longer than 32 bits')
  }
}

/** The bits of field numbers. */
export function fields(...numbers: number[]): number {
  return numbers.reduce((bits, number) => bits | (1 << number), 0)
}

/** A number as a varint. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
