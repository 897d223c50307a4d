import { gzipSync } from 'node:zlib'
import { JSDOM } from 'jsdom'
import { expect, test } from 'vitest'
import { ATTR_FAILURE_CODE, ATTR_STAGE, SERVICE_SERVER, SPAN_RUN } from '../../names.ts'
import { FAILURES } from '../../server/contract.ts'
import { encode, type OtlpSpan } from '../otlp.ts'
import { sampleRequest, sampleSpan, TERMS, TRACE_ID, temporaryPath, temporaryStore, text } from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import { consoleOf, consoleWith, NOW, take } from './sample-console.ts'

const ROOT = '00000000000000a0'
const NEIGHBOUR = `${TRACE_ID.slice(0, 31)}7`
const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`

const root = (span: Partial<OtlpSpan> = {}) => sampleSpan(ROOT, { name: SPAN_RUN, durationMs: 3_400, ...span })
const failedRun = [
  sampleRequest([root({ status: { code: 2 }, attributes: [text(ATTR_FAILURE_CODE, 'tectonic_crash')] })]),
  sampleRequest(
    [
      sampleSpan('00000000000000b0', {
        parentSpanId: ROOT,
        name: 'compile',
        status: { code: 2 },
        attributes: [text(ATTR_STAGE, 'compile'), text(ATTR_FAILURE_CODE, 'tectonic_crash')],
      }),
      sampleSpan('00000000000000c0', {
        parentSpanId: '00000000000000b0',
        name: 'tectonic',
        kind: 3,
        status: { code: 2 },
        attributes: [text(ATTR_FAILURE_CODE, 'tectonic_crash')],
      }),
    ],
    SERVICE_SERVER,
  ),
]

test('A finished run says so in its first sentence, with the time it took', async () => {
  const { page } = await consoleWith(sampleRequest([root()]))
  const { heading, document } = await page(`/support/${TRACE_ID}`)
  expect(heading).toContain('Done: the resume reached the browser after 3.4 s.')
  expect(document.querySelector('code.copy')?.textContent).toBe(TRACE_ID)
})

test('A failed run names the step, what the person was told, the code, and marks the span with a word', async () => {
  const { page } = await consoleWith(...failedRun)
  const { heading, document } = await page(`/support/${TRACE_ID}`)
  expect(heading).toContain('Failed at “compile”: the program that makes the PDF stopped unexpectedly.')
  expect(document.querySelector('.advice')?.textContent).toContain(FAILURES.tectonic_crash.advice)
  expect(document.querySelector('.facts')?.textContent).toContain('tectonic_crash')
  const rows = [...document.querySelectorAll('.waterfall > li')]
  expect(rows.map((row) => row.querySelector('.label')?.textContent)).toEqual([SPAN_RUN, 'compile', 'tectonic'])
  const culprit = document.querySelector('.culprit')
  expect(culprit?.querySelector('.label')?.textContent).toBe('tectonic')
  expect(culprit?.querySelector('.mark')?.textContent).toContain('failed')
  expect(culprit?.querySelector('details')?.hasAttribute('open')).toBe(true)
})

test('A failed attempt below a run that succeeded does not make it a failure', async () => {
  const { page } = await consoleWith(
    sampleRequest([root(), sampleSpan('00000000000000b0', { parentSpanId: ROOT, status: { code: 2 } })]),
  )
  expect((await page(`/support/${TRACE_ID}`)).heading).toContain('Done:')
})

test('A run without the browser’s part says what is missing, or why it failed when that is known', async () => {
  const orphan = sampleSpan('00000000000000b0', { parentSpanId: ROOT })
  const open = await consoleWith(sampleRequest([orphan], SERVICE_SERVER))
  expect((await open.page(`/support/${TRACE_ID}`)).heading).toContain('The run is under way.')
  const later = consoleOf(open.store, { now: () => NOW + 2 * 60_000 })
  const { heading, document } = await later.page(`/support/${TRACE_ID}`)
  expect(heading).toContain('It is not known how the run ended')
  expect(document.querySelector('#tell')?.textContent).toContain('press “Report a problem”')
  const made = await consoleWith(sampleRequest([{ ...orphan, name: 'validate' }], SERVICE_SERVER))
  expect((await made.page(`/support/${TRACE_ID}`)).heading).toContain('The resume was made.')
  const failed = { ...orphan, status: { code: 2 }, attributes: [text(ATTR_FAILURE_CODE, 'server_unreachable')] }
  const known = await consoleWith(sampleRequest([failed], SERVICE_SERVER))
  expect((await known.page(`/support/${TRACE_ID}`)).heading).toContain('the resume service is not answering right now')
})

test('Whatever a span says is shown as text: no element, no attribute and no address of it survives', async () => {
  const span = root({
    name: HOSTILE,
    status: { code: 2 },
    attributes: [text(ATTR_FAILURE_CODE, HOSTILE), text(HOSTILE, HOSTILE)],
  })
  const { page } = await consoleWith(sampleRequest([span], HOSTILE))
  for (const path of [`/support/${TRACE_ID}`, `/support?id=${encodeURIComponent(HOSTILE)}`]) {
    const { document, response } = await page(path)
    expect(
      document.querySelectorAll('script:not([src^="/support/console.js?v="]), img, style, [onerror], [style]'),
    ).toHaveLength(0)
    expect(document.body.textContent).toContain(path.includes('?') ? 'A trace ID has 32 digits' : HOSTILE)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  }
})

test('Pages come with headers that forbid scripts, frames, other forms, sniffing and caching', async () => {
  const { get } = await consoleWith()
  const { headers } = await get('/support')
  const policy = headers.get('content-security-policy')
  for (const rule of ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"]) {
    expect(policy).toContain(rule)
  }
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('referrer-policy')).toBe('same-origin')
  expect(headers.get('cache-control')).toBe('no-store')
  const css = await get('/support/console.css')
  expect(css.headers.get('content-type')).toContain('text/css')
})

test('The form leads from an ID as people paste it to its page', async () => {
  const { get } = await consoleWith(sampleRequest([root()]))
  const pasted = `%20${TRACE_ID.slice(0, 8).toUpperCase()}-${TRACE_ID.slice(8)}%20`
  const response = await get(`/support?id=${pasted}`)
  expect(response.status).toBe(303)
  expect(response.headers.get('location')).toBe(`/support/${TRACE_ID}`)
  expect((await get(`/support/${TRACE_ID.slice(0, 8)}`)).status).toBe(200)
})

test('How long a run stays is one sentence on its page, and stands in the list', async () => {
  let now = Date.UTC(2026, 0, 1)
  const store = temporaryStore(temporaryPath(), () => now)
  await take(store, sampleRequest([root()]))
  const { get } = consoleOf(store, { now: () => now })
  const told = async () => {
    const text = async (path: string, selector: string) => {
      const { document } = new JSDOM(await (await get(path)).text()).window
      return document.querySelector(selector)?.textContent
    }
    return [await text(`/support/${TRACE_ID}`, '.stay'), await text('/support', '.runs .when')]
  }
  expect(await told()).toEqual([
    'Goes on 2 Jan 2026, 01:00 UTC, unless somebody reports it.',
    'just now · Goes on 2 Jan 2026, 01:00 UTC',
  ])
  now += 5 * 60_000
  await store.keep(TRACE_ID)
  expect(await told()).toEqual([
    'Kept until 31 Jan 2026, 00:05 UTC, because somebody reported it.',
    '5 min ago · Kept until 31 Jan 2026, 00:05 UTC',
  ])
  now += TERMS.keptMs
  expect(await told()).toEqual(['Goes soon, unless somebody reports it.', '30 d ago · Goes soon'])
})

test('Of a run in which something failed it is said how long it stays, and that this is why', async () => {
  const store = temporaryStore(temporaryPath(), () => Date.UTC(2026, 0, 1))
  await take(store, ...failedRun)
  const { get } = consoleOf(store, { now: () => Date.UTC(2026, 0, 1) })
  const { document } = new JSDOM(await (await get(`/support/${TRACE_ID}`)).text()).window
  expect(document.querySelector('.stay')?.textContent).toBe(
    'Kept until 31 Jan 2026, 00:00 UTC, because something in it failed.',
  )
})

test('The first page lists the runs seen last, with links', async () => {
  const { page } = await consoleWith(sampleRequest([root()]))
  const { document } = await page('/support')
  expect([...document.querySelectorAll('.runs a')].map((link) => link.getAttribute('href'))).toEqual([
    `/support/${TRACE_ID}`,
  ])
})

test('The trace as OTLP JSON is found by full and short ID, after the relay’s own spans are flushed', async () => {
  const { get, flushes } = await consoleWith(
    sampleRequest([root()]),
    sampleRequest([root(), sampleSpan('00000000000000b0')]),
  )
  for (const id of [TRACE_ID, TRACE_ID.slice(0, 8), TRACE_ID.toUpperCase()]) {
    const before = flushes()
    const { resourceSpans } = await (await get(`/api/traces/${id}`)).json()
    expect(flushes()).toBe(before + 1)
    expect(
      resourceSpans.flatMap((r: never) => (r as { scopeSpans: { spans: unknown[] }[] }).scopeSpans[0]?.spans),
    ).toHaveLength(2)
  }
})

test('A trace too large to be read as a whole says so in its JSON, and on its page in words', async () => {
  const spans = (from: number) =>
    sampleRequest(Array.from({ length: 15_000 }, (_, n) => sampleSpan((from + n).toString(16).padStart(16, '0'))))
  const { get, page } = await consoleWith(sampleRequest([root()]), spans(0x1000), spans(0x10000))
  const trace = await (await get(`/api/traces/${TRACE_ID}`)).json()
  expect(trace.truncated).toBe(true)
  const { document } = await page(`/support/${TRACE_ID}`)
  expect(document.querySelector('.notice')?.textContent).toContain('too large to be read as a whole')
})

test('A trace that is whole says nothing of being cut', async () => {
  const { get, page } = await consoleWith(sampleRequest([root()]))
  expect(await (await get(`/api/traces/${TRACE_ID}`)).json()).not.toHaveProperty('truncated')
  expect((await page(`/support/${TRACE_ID}`)).document.querySelector('.notice')).toBeNull()
})

test('Of a span with very many attributes the first are shown, and how many are not', async () => {
  const attributes = Array.from({ length: 130 }, (_, n) => text(`k${n}`, ''))
  // Past ingest, which would take them out: they may have been stored before it did.
  const store = temporaryStore()
  const body = gzipSync(encode(sampleRequest([root({ attributes })]), 'json'))
  await store.append({ encoding: 'json', body, traces: packTraces([[TRACE_ID, { spans: 1, error: false }]]) })
  const { get } = consoleOf(store, { now: Date.now })
  const { document } = new JSDOM(await (await get(`/support/${TRACE_ID}`)).text()).window
  const list = document.querySelector('.attributes')?.textContent
  expect(list).toContain('k127')
  expect(list).not.toContain('k128')
  expect(list).toContain('2 more attributes are not shown')
})

test.each([
  ['unknown', 'ffffffff', 404, 'trace_not_found'],
  ['too short', '4bf92f3', 400, 'trace_id_malformed'],
  ['no hex', 'zzzzzzzz', 400, 'trace_id_malformed'],
  ['too long', `${TRACE_ID}0`, 400, 'trace_id_malformed'],
  ['ambiguous', TRACE_ID.slice(0, 10), 409, 'trace_id_ambiguous'],
])('An ID that is %s is answered with its own status, code and page', async (_, id, status, code) => {
  const { get, page } = await consoleWith(
    sampleRequest([root(), sampleSpan('00000000000000b0', { traceId: NEIGHBOUR })]),
  )
  const response = await get(`/api/traces/${id}`)
  expect(response.status).toBe(status)
  const { error } = await response.json()
  expect(error.code).toBe(code)
  if (status === 409) expect(error.candidates).toEqual([TRACE_ID, NEIGHBOUR])
  const { response: html, document } = await page(`/support/${id}`)
  expect(html.status).toBe(status === 409 ? 300 : status)
  if (status === 409) expect(document.querySelectorAll('.runs a')).toHaveLength(2)
  else expect(document.querySelector('[role=alert]')?.textContent).not.toBe('')
})
