import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { createApp } from './app.ts'
import { createAccept } from './ingest.ts'
import { encode, type OtlpSpan, spansOf } from './otlp.ts'
import {
  AS_STAFF,
  asInstall,
  sampleParts,
  sampleRequest,
  sampleSpan,
  TERMS,
  TRACE_ID,
  temporaryPath,
  temporaryStore,
} from './sample-run.ts'
import { pathOf } from './store/hour-files.ts'

const ORIGIN = 'chrome-extension://abcdefghijklmnop'
const NEIGHBOUR = `${TRACE_ID.slice(0, 31)}7`
const START = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000

/** The relay with a clock that the test sets: `clock.now`, milliseconds since 1970. */
function relay(path = temporaryPath(), clock = { now: START }) {
  const store = temporaryStore(path, () => clock.now)
  const accept = createAccept(store, () => {})
  const lateSpans: OtlpSpan[] = []
  const take = async (...spans: OtlpSpan[]) =>
    void (await accept({ bytes: encode(sampleRequest(spans), 'json'), encoding: 'json', gzipped: false }))
  const app = createApp(
    sampleParts(store, {
      accept,
      flushSpans: async () => {
        if (lateSpans.length > 0) await take(...lateSpans.splice(0))
      },
      now: () => clock.now,
    }),
  )
  const install = asInstall(app.request('/installs', { method: 'POST' }) as Promise<Response>)
  const post = async (id: string, { headers, ...init }: RequestInit = {}) =>
    app.request(`/traces/${id}/keep`, { method: 'POST', headers: { ...(await install), ...headers }, ...init })
  const spanIds = async (id = TRACE_ID) => {
    const { resourceSpans = [] } = await (await app.request(`/api/traces/${id}`, { headers: AS_STAFF })).json()
    return [...spansOf({ resourceSpans })].map(({ spanId }) => spanId)
  }
  return { store, clock, take, post, spanIds, lateSpans, app }
}
async function codeOf(response: Response): Promise<string> {
  const { error, ...rest } = await response.json()
  expect(rest).toEqual({})
  expect(error.message).toMatch(/\w.*\.$/)
  return error.code
}

test('A trace that is kept is answered for with its time, and asking again changes neither', async () => {
  const { clock, take, post } = relay()
  await take(sampleSpan('00f067aa0ba902b7'))
  const kept = { traceId: TRACE_ID, keptUntil: '2026-01-31T00:00:00.000Z' }
  for (const now of [START, START + HOUR_MS, START + TERMS.keptMs - 1]) {
    clock.now = now
    const response = await post(TRACE_ID)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual(kept)
  }
})

test('A kept trace outlives the others, with what of it came later and without what came with it', async () => {
  const { clock, take, post, spanIds, store } = relay()
  await take(sampleSpan('00000000000000a1'))
  await take(sampleSpan('00000000000000a2', { traceId: NEIGHBOUR }))
  await take(sampleSpan('00000000000000a3'), sampleSpan('00000000000000a4', { traceId: NEIGHBOUR }))
  await post(TRACE_ID)
  await take(sampleSpan('00000000000000a5'))
  clock.now = START + TERMS.retentionMs + HOUR_MS
  await store.tend()
  expect(await spanIds()).toEqual(['00000000000000a1', '00000000000000a3', '00000000000000a5'])
  expect(await spanIds(NEIGHBOUR)).toEqual([])
})

test('Failed traces outlive the others whole, however many fail in one request, beside whatever else, and however large', async () => {
  const { clock, take, spanIds, store } = relay()
  const FAILED = { status: { code: 2 } }
  const OTHER = `${TRACE_ID.slice(0, 31)}8`
  const LARGE = `${TRACE_ID.slice(0, 31)}9`
  await take(
    sampleSpan('00000000000000a1', FAILED),
    sampleSpan('00000000000000a2', { traceId: NEIGHBOUR }),
    sampleSpan('00000000000000a3', { traceId: OTHER, ...FAILED }),
    sampleSpan('00000000000000a4'),
  )
  // One that failed before and not here beside one that fails here; then one that fails alone.
  await take(sampleSpan('00000000000000a5'), sampleSpan('00000000000000a6', { traceId: OTHER, ...FAILED }))
  await take(sampleSpan('00000000000000a7', { traceId: OTHER, ...FAILED }))
  const many = Array.from({ length: 1_000 }, (_, index) =>
    sampleSpan((index + 1).toString(16).padStart(16, '0'), { traceId: LARGE, ...FAILED }),
  )
  await take(sampleSpan('00000000000000a8', { traceId: NEIGHBOUR }), ...many)
  clock.now = START + TERMS.retentionMs + HOUR_MS
  await store.tend()
  expect(await spanIds()).toEqual(['00000000000000a1', '00000000000000a4', '00000000000000a5'])
  expect(await spanIds(OTHER)).toEqual(['00000000000000a3', '00000000000000a6', '00000000000000a7'])
  expect(await spanIds(LARGE)).toHaveLength(1_000)
  expect(await spanIds(NEIGHBOUR)).toEqual([])
})

test('When its time is over a kept trace goes, and can be kept anew before', async () => {
  const { clock, take, post, spanIds, store } = relay()
  await take(sampleSpan('00000000000000a1'))
  await take(sampleSpan('00000000000000a2', { traceId: NEIGHBOUR }))
  await post(TRACE_ID)
  await post(NEIGHBOUR)
  clock.now = START + TERMS.keptMs - 1
  await store.tend()
  clock.now = START + TERMS.keptMs
  expect(await (await post(NEIGHBOUR)).json()).toMatchObject({ keptUntil: '2026-03-02T00:00:00.000Z' })
  expect(await spanIds()).toHaveLength(1)
  await store.tend()
  expect(await spanIds()).toEqual([])
  expect(await spanIds(NEIGHBOUR)).toHaveLength(1)
})

test.each([
  ['the beginning of one', TRACE_ID.slice(0, 8)],
  ['upper case', TRACE_ID.toUpperCase()],
  ['too long', `${TRACE_ID}0`],
  ['no hex', 'z'.repeat(32)],
  ['all zero', '0'.repeat(32)],
])('An ID that is %s is a 400 that says what to send', async (_, id) => {
  const { take, post } = relay()
  await take(sampleSpan('00f067aa0ba902b7'))
  const response = await post(id)
  expect(response.status).toBe(400)
  expect((await response.clone().json()).error.message).toContain('32 digits')
  expect(await codeOf(response)).toBe('trace_id_malformed')
})

test('Of a trace that is not here a 404 says to send its spans first, and then it can be kept', async () => {
  const { take, post } = relay()
  const response = await post(TRACE_ID)
  expect(response.status).toBe(404)
  expect((await response.clone().json()).error.message).toContain('/v1/traces first')
  expect(await codeOf(response)).toBe('trace_not_found')
  await take(sampleSpan('00f067aa0ba902b7'))
  expect((await post(TRACE_ID)).status).toBe(200)
})

test('A trace of which only the relay’s own spans are there, not stored yet, can be kept', async () => {
  const { post, lateSpans } = relay()
  lateSpans.push(sampleSpan('00f067aa0ba902b7'))
  expect((await post(TRACE_ID)).status).toBe(200)
})

test('While the disk refuses it is a 503 that says when to try again, and what is kept already still is', async () => {
  const path = temporaryPath()
  const { take, post } = relay(path)
  await take(sampleSpan('00f067aa0ba902b7'), sampleSpan('00f067aa0ba902b8', { traceId: NEIGHBOUR }))
  await post(NEIGHBOUR)
  const other = new DatabaseSync(pathOf(path, { file: 1, hour: START }), { timeout: 60_000 })
  other.exec('BEGIN IMMEDIATE')
  const response = await post(TRACE_ID)
  expect(response.status).toBe(503)
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await codeOf(response)).toBe('store_unavailable')
  expect((await post(NEIGHBOUR)).status).toBe(200)
  other.exec('ROLLBACK')
  other.close()
  expect((await post(TRACE_ID)).status).toBe(200)
})

test('A body is not looked at, and more than a little of it is a 413', async () => {
  const { take, post } = relay()
  await take(sampleSpan('00f067aa0ba902b7'))
  const response = await post(TRACE_ID, { body: 'x'.repeat(4 * 1024 + 1) })
  expect(response.status).toBe(413)
  expect(await codeOf(response)).toBe('request_too_large')
  expect((await post(TRACE_ID, { body: '{"keep": false' })).status).toBe(200)
})

test('Who leaves in the middle of a body has kept nothing, and it is no failure of the relay', async () => {
  const { store, take, post } = relay()
  await take(sampleSpan('00f067aa0ba902b7'))
  const body = new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) })
  const response = await post(TRACE_ID, { body, duplex: 'half', signal: AbortSignal.abort() } as RequestInit)
  expect(response.status).toBe(400)
  expect(await codeOf(response)).toBe('body_incomplete')
  expect(store.stay(TRACE_ID)?.kept).toBe(false)
})

test('An extension may keep a trace without asking first, and read when to try again; a web page may not', async () => {
  const { store, take, post } = relay()
  await take(sampleSpan('00f067aa0ba902b7'))
  for (const origin of ['https://evil.example', 'null']) {
    const response = await post(TRACE_ID, { headers: { origin, 'content-type': 'text/plain' }, body: 'x' })
    expect(response.status).toBe(403)
    expect(await codeOf(response)).toBe('origin_not_allowed')
  }
  expect(store.stay(TRACE_ID)?.kept).toBe(false)
  const { status, headers } = await post(TRACE_ID, { headers: { origin: ORIGIN } })
  expect(status).toBe(200)
  expect(headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(headers.get('access-control-expose-headers')?.toLowerCase()).toContain('retry-after')
})
