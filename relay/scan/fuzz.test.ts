import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decode, type Encoding } from '../otlp.ts'
import { weigh } from '../weight.ts'
import { filtered, readStrictly, scrubbed } from './reference.ts'
import { scan, slice } from './scan.ts'
import { bodyFrom } from './tape.ts'
import { tracesIn } from './trace-list.ts'

/** Cases in all. `FUZZ_RUNS=1000000 vitest run relay/scan/fuzz` for the long run. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 6_000)
const HOUR_MS = 3_600_000

const isRefusal = (error: unknown) => error instanceof Error && /^(Undecodable|BodyTooLarge)$/.test(error.name)

/** What it returns, or undefined when it throws what `allowed` says it may. */
function attempt<T>(work: () => T, allowed: (error: unknown) => boolean = () => true): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!allowed(error)) throw error
    return undefined
  }
}

/** Tells whether the body was taken. */
function holds(body: Uint8Array, encoding: Encoding): boolean {
  const scanned = attempt(() => scan(body, encoding), isRefusal)
  const read = attempt(() => readStrictly(body, encoding))
  // Taken is what the specification takes, and nothing else.
  expect(scanned !== undefined).toBe(read !== undefined)
  if (!scanned || !read) return false

  // Facts are those of the whole request, and what is kept is the whole request by the closed list.
  const reference = scrubbed(read)
  expect(new Map(tracesIn(scanned.traces))).toEqual(reference.facts)
  expect(scanned.rejected).toBe(reference.rejected)
  expect(scanned.spans).toBe([...reference.facts.values()].reduce((sum, { spans }) => sum + spans, 0))
  const meaning = encoding === 'json' ? withoutSignedZeros : withoutEmptyLists
  expect(meaning(readStrictly(scanned.body, encoding))).toEqual(meaning(reference.request))
  if (encoding === 'protobuf' && !scanned.scrubbed && scanned.rejected === 0) expect(scanned.body).toBe(body)

  // What was let through is clean.
  const again = scan(scanned.body, encoding)
  expect(again.body).toBe(scanned.body)
  expect(again.scrubbed).toBeUndefined()
  expect(again.traces).toEqual(scanned.traces)

  // The look-up, which decodes everything, can read what was kept, and any part of it.
  weigh(scanned.body, encoding)
  const decoded = decode(scanned.body, encoding)
  const wanted = (traceId: string) => traceId.endsWith('6')
  const part = slice(scanned.body, encoding, wanted)
  const expected = filtered(decoded, wanted)
  expect(part === undefined).toBe(expected.resourceSpans.length === 0)
  if (part) expect(decode(part, encoding)).toEqual(expected)
  const changed = slice(scanned.body, encoding, wanted, () => 'th:0')
  if (changed) {
    for (const resource of expected.resourceSpans) {
      for (const scope of resource.scopeSpans ?? []) for (const span of scope.spans ?? []) delete span.traceState
    }
    const found = decode(changed, encoding)
    for (const resource of found.resourceSpans) {
      for (const scope of resource.scopeSpans ?? []) {
        for (const span of scope.spans ?? []) {
          expect(span.traceState).toMatch(/(^|,)ot=th:0/)
          delete span.traceState
        }
      }
    }
    expect(found).toEqual(expected)
  }
  return true
}

/** What is said twice is put together by JSON.stringify, which has no -0. */
function withoutSignedZeros(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** In protobuf a list without items is none. */
function withoutEmptyLists(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyLists)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, item]) => !Array.isArray(item) || item.length > 0)
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutEmptyLists(item)]))
}

for (const encoding of ['protobuf', 'json'] as const) {
  test(`A scan of ${encoding} agrees with decoding it whole, whatever the body`, { timeout: HOUR_MS }, () => {
    const tape = fc.uint8Array({ maxLength: 600, size: 'max' })
    let taken = 0
    const property = fc.property(tape, (bytes) => {
      taken += Number(holds(bodyFrom(bytes, encoding), encoding))
    })
    fc.assert(property, { numRuns: Math.ceil(RUNS / 2) })
    // Of the others it is held only that both refuse them.
    expect(taken).toBeGreaterThan(RUNS / 20)
  })
}
