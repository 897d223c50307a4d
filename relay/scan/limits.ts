/** How much a request may hold besides bytes. */

import { BodyTooLarge } from '../bounded-body.ts'

/** Most resource spans, scope spans and spans of one request. Senders' batches are of 512 to 8,192 spans. */
export const MAX_ELEMENTS = 50_000
/**
 * Most fields of one request, or decoded for one look-up; in JSON objects, lists and further items. A span with ten
 * attributes has about 50 of them in either encoding, so this is more than 20 MiB of such spans. Bytes do not say it:
 * `{},` are three.
 */
export const MAX_MARKS = 1_500_000
/** Messages in one another, the request counted as none: what protobuf's own readers allow. */
export const MAX_DEPTH = 100

export function tooManyElements(): BodyTooLarge {
  return new BodyTooLarge(`More than ${MAX_ELEMENTS} resource spans, scope spans and spans.`)
}

export function tooManyMarks(limit = MAX_MARKS): BodyTooLarge {
  return new BodyTooLarge(`More than ${limit} objects, lists and fields.`)
}

export function tooDeep(): BodyTooLarge {
  return new BodyTooLarge(`More than ${MAX_DEPTH} messages in one another.`)
}
