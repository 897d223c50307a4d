/**
 * What is to be expected of whatever keeps traces, as tests: the same for the store in files and for every engine, so that the
 * console need not know which it has.
 */
import { gzipSync } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_COMPILE_SANDBOXED,
  ATTR_EXCEPTION_TYPE,
  ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  ATTR_PDF_PAGES,
  EVENT_EXCEPTION,
  RESOURCE_SERVICE_NAME,
  SERVICE_RELAY,
  SERVICE_SERVER,
  SPAN_COMPILE,
  SPAN_LATEX,
} from '../../names.ts'
import { flat } from '../compared-spans.ts'
import { encode, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'
import { sampleRequest, sampleSpan, text } from '../sample-run.ts'
import { scan } from '../scan/scan.ts'
import { isInRatio } from './marks.ts'
import type { Traces } from './traces.ts'
import { StoreUnavailable } from './writer-thread.ts'

/** One of them, empty, with what the tests need to do to it. Whoever opens it has it closed when the test is over. */
export interface Subject {
  traces: Traces
  /** The time is over for which everything is there: what is not kept goes. */
  passWindow(): Promise<void>
  /** Nothing is taken from now on. */
  breakDown(): Promise<void>
  /** Whether the flags of spans get lost in it, which nothing of ours reads again. */
  losesFlags?: boolean
  /** Whether a span that comes again in other words takes the place of the first: then only a repetition changes nothing. */
  overwrites?: boolean
  /** What the subject knows of the time, milliseconds since 1970. */
  now(): number
}

/** What comes in must show within this; files show it at once. */
const SHOWS_MS = 30_000
const KEPT_MS = 30 * 86_400_000

/** Another one for each test: engines are not emptied between them. Never one of the ratio's. */
function newTraceId(beginning = ''): string {
  for (;;) {
    const id = beginning + crypto.randomUUID().replaceAll('-', '').slice(beginning.length)
    if (!isInRatio(id)) return id
  }
}

let spans = 0
function newSpanId(): string {
  spans += 1
  return (0xabc00000 + spans).toString(16).padStart(16, '0')
}

/** A span that began a moment ago. */
function recentSpan(traceId: string, now: number, span: Partial<OtlpSpan> = {}): OtlpSpan {
  const at = BigInt(now - 2_000) * 1_000_000n
  return {
    ...sampleSpan(newSpanId()),
    traceId,
    startTimeUnixNano: String(at),
    endTimeUnixNano: String(at + 1_000_000n),
    ...span,
  }
}
const FAILED = { status: { code: 2 } }

async function take(traces: Traces, data: TracesData): Promise<void> {
  const body = encode(data, 'protobuf')
  const scanned = scan(body, 'protobuf')
  // Otherwise it is not what was sent that is looked for.
  expect(scanned.scrubbed).toBeUndefined()
  await traces.append({ encoding: 'protobuf', body: gzipSync(body), traces: scanned.traces })
}
const takeSpans = (traces: Traces, ...some: OtlpSpan[]) => take(traces, sampleRequest(some, SERVICE_RELAY))

async function shown<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: SHOWS_MS, interval: 100 })
}
const idsIn = (data: TracesData) => [...spansOf(data)].map(({ spanId }) => spanId).sort()
async function hasAll(traces: Traces, traceId: string, ...some: OtlpSpan[]): Promise<void> {
  await shown(async () => expect(idsIn(await traces.trace(traceId))).toEqual(some.map(({ spanId }) => spanId).sort()))
}

/** Registers the tests; `open` makes a subject for one of them. */
export function keepsTraces(open: () => Promise<Subject>): void {
  test('What was taken is found by its whole ID, exactly as it was sent', async () => {
    const { traces, now, losesFlags = false } = await open()
    const traceId = newTraceId()
    const first = recentSpan(traceId, now(), {
      ...FAILED,
      name: SPAN_COMPILE,
      kind: 3,
      ...(losesFlags ? {} : { flags: 0x103 }),
      traceState: 'ot=th:fd70a4',
      parentSpanId: '00f067aa0ba902b7',
      attributes: [
        { key: ATTR_PDF_PAGES, value: { intValue: '2' } },
        { key: ATTR_COMPILE_SANDBOXED, value: { boolValue: true } },
        { key: ATTR_COMPILE_CPU_TIME, value: { doubleValue: 1.5 } },
        {
          key: ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
          value: { arrayValue: { values: [{ stringValue: 'stop' }, { stringValue: 'length' }] } },
        },
      ],
      events: [
        {
          timeUnixNano: String(BigInt(now()) * 1_000_000n),
          name: EVENT_EXCEPTION,
          attributes: [text(ATTR_EXCEPTION_TYPE, 'TypeError')],
        },
      ],
      links: [{ traceId: newTraceId(), spanId: '00f067aa0ba902b8' }],
    })
    const sent: TracesData = {
      resourceSpans: [
        {
          resource: { attributes: [text(RESOURCE_SERVICE_NAME, SERVICE_SERVER)] },
          scopeSpans: [{ scope: { name: 'pass-ats', version: '1' }, spans: [first] }],
        },
        ...sampleRequest([recentSpan(traceId, now(), { status: { code: 1 } })], SERVICE_RELAY).resourceSpans,
      ],
    }
    await take(traces, sent)
    await shown(async () => expect(flat(await traces.trace(traceId))).toEqual(flat(sent)))
    expect(await traces.find(traceId)).toEqual({ kind: 'found', traceId })
    expect((await traces.trace(traceId)).truncated).toBe(false)
  })

  test('A trace comes in parts from several services, and a part that comes again changes nothing', async () => {
    const { traces, now, overwrites = false } = await open()
    const traceId = newTraceId()
    const [first, second, third] = [1, 2, 3].map(() => recentSpan(traceId, now())) as [OtlpSpan, OtlpSpan, OtlpSpan]
    const stranger = recentSpan(newTraceId(), now())
    await take(traces, sampleRequest([first], SERVICE_SERVER))
    await hasAll(traces, traceId, first)
    const { requests } = await traces.arrivals(traceId)
    await takeSpans(traces, overwrites ? first : { ...first, name: SPAN_LATEX }, second)
    await takeSpans(traces, third, stranger)
    await hasAll(traces, traceId, first, second, third)
    const names = [...spansOf(await traces.trace(traceId))].map(({ spanId, name }) => [spanId, name])
    expect(Object.fromEntries(names)[first.spanId]).toBe(first.name)
    await shown(async () => expect((await traces.arrivals(traceId)).requests).toBeGreaterThan(requests))
    expect(Math.abs((await traces.arrivals(traceId)).lastAt - now())).toBeLessThan(SHOWS_MS * 2)
  })

  test('What is not here is told to be not here, and cannot be kept', async () => {
    const { traces } = await open()
    const traceId = newTraceId()
    expect(await traces.find(traceId)).toEqual({ kind: 'unknown' })
    expect(await traces.trace(traceId)).toEqual({ resourceSpans: [], truncated: false })
    expect(await traces.arrivals(traceId)).toEqual({ requests: 0, lastAt: 0 })
    expect(await traces.stay(traceId)).toBeUndefined()
    expect(await traces.keep(traceId)).toEqual({ kind: 'unknown' })
  })

  test('Of the newest traces the beginning of an ID is enough, or leads to all that begin so', async () => {
    const { traces, now } = await open()
    const beginning = newTraceId().slice(0, 10)
    const [one, other] = [newTraceId(`${beginning}0`), newTraceId(`${beginning}1`)]
    await takeSpans(traces, recentSpan(one, now()), recentSpan(other, now()))
    const candidates = [one, other]
    await shown(async () => expect(await traces.find(beginning)).toEqual({ kind: 'ambiguous', candidates }))
    expect(await traces.find(one.slice(0, 11))).toEqual({ kind: 'found', traceId: one })
    expect(await traces.find(newTraceId().slice(0, 12))).toEqual({ kind: 'unknown' })
  })

  test('The newest traces are listed, page by page, and of those that failed only they', async () => {
    const { traces, now } = await open()
    const began = (agoMs: number) => String(BigInt(now() - agoMs) * 1_000_000n)
    const ids = [newTraceId(), newTraceId(), newTraceId()]
    for (const [index, traceId] of ids.entries()) {
      const at = began(30_000 - index * 10_000)
      const times = { startTimeUnixNano: at, endTimeUnixNano: at }
      await takeSpans(traces, recentSpan(traceId, now(), { ...times, ...(index === 1 ? FAILED : {}) }))
    }
    const own = (some: readonly { traceId: string }[]) =>
      some.map(({ traceId }) => traceId).filter((traceId) => ids.includes(traceId))
    await shown(async () => expect(own(await traces.recent(200))).toEqual(ids.toReversed()))
    const newest = await traces.recent(200)
    const second = newest.find(({ traceId }) => traceId === ids[1])?.lastSeen ?? 0
    expect(own(await traces.recent(200, second))).toEqual(ids.slice(0, 1))
    const hour = 3_600_000
    await shown(async () => expect(own(await traces.failed(now() - hour, now() + hour, 200))).toEqual([ids[1]]))
    expect(own(await traces.failed(now() - 3 * hour, now() - 2 * hour, 200))).toEqual([])
  })

  test('What failed stays, and what somebody reports; the rest goes when its time is over', async () => {
    const { traces, now, passWindow } = await open()
    const [failed, reported, other] = [newTraceId(), newTraceId(), newTraceId()]
    const early = { failed: recentSpan(failed, now()), reported: recentSpan(reported, now()) }
    await takeSpans(traces, early.failed, early.reported, recentSpan(other, now()))
    const error = recentSpan(failed, now(), FAILED)
    await takeSpans(traces, error)
    for (const traceId of [failed, reported, other]) {
      await shown(async () => expect(await traces.find(traceId)).toMatchObject({ kind: 'found' }))
    }
    await shown(async () => expect((await traces.stay(failed))?.kept).toBe('error'))
    const keeping = await traces.keep(reported)
    expect(keeping).toMatchObject({ kind: 'kept' })
    const until = keeping.kind === 'kept' ? keeping.until : 0
    expect(Math.abs(until - now() - KEPT_MS)).toBeLessThan(SHOWS_MS * 2)
    await shown(async () => expect(await traces.stay(reported)).toMatchObject({ kept: 'report', until }))
    // Again, which changes nothing.
    expect(await traces.keep(reported)).toEqual(keeping)
    expect((await traces.stay(other))?.kept).toBe(false)

    await passWindow()
    await hasAll(traces, failed, early.failed, error)
    await hasAll(traces, reported, early.reported)
    await shown(async () => expect(await traces.find(other)).toEqual({ kind: 'unknown' }))
    expect(await traces.stay(reported)).toMatchObject({ kept: 'report', until })
    expect((await traces.stay(failed))?.kept).toBe('error')
  })

  test('What cannot be taken is refused, so that its sender sends it again', async () => {
    const { traces, now, breakDown } = await open()
    await traces.check()
    await breakDown()
    await expect(takeSpans(traces, recentSpan(newTraceId(), now()))).rejects.toThrow(StoreUnavailable)
    await expect(traces.check()).rejects.toThrow(StoreUnavailable)
  })
}
