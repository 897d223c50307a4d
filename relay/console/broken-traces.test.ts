import { expect, test } from 'vitest'
import {
  ATTR_WORKER_RESUMES,
  EVENT_WORKER_RESUMED,
  EVENT_WORKER_TERMINATED,
  RESOURCE_DROPPED_EXPIRED,
  SERVICE_EXTENSION,
  SERVICE_RELAY,
  SERVICE_SERVER,
  SPAN_GENERATE,
  SPAN_RUN,
} from '../../names.ts'
import { SHAPES } from '../diagnosis.ts'
import type { OtlpSpan, TracesData } from '../otlp.ts'
import { sampleRequest, sampleSpan, TRACE_ID, temporaryStore, text } from '../sample-run.ts'
import { consoleOf, consoleWith, NOW, put, take } from './sample-console.ts'
import { layOut } from './waterfall.ts'

const id = (n: number) => n.toString(16).padStart(16, '0')
const ROOT = id(1)
const root = (span: Partial<OtlpSpan> = {}) => sampleSpan(ROOT, { name: SPAN_RUN, durationMs: 4_000, ...span })

/** The page of a run, some minutes after it: what it says is unusual, and its rows. */
async function pageOf(...requests: TracesData[]) {
  const store = temporaryStore(undefined, () => NOW)
  await put(store, ...requests)
  const { page } = consoleOf(store, { now: () => NOW + 5 * 60_000 })
  const shown = await page(`/support/${TRACE_ID}`)
  const rows = [...shown.document.querySelectorAll('.waterfall > li')]
  expect(shown.response.status).toBe(200)
  return {
    ...shown,
    findings: [...shown.document.querySelectorAll('.findings li')].map(({ textContent }) => textContent),
    rows,
    names: rows.map((row) => row.querySelector('.label')?.textContent),
  }
}

/** A run through all three services whose clocks are off by so much. */
function skewed(relayMs: number, serverMs: number): TracesData[] {
  const at = (startMs: number, durationMs: number, parent: number, kind: number, name: string) => ({
    ...{ startMs, durationMs, parentSpanId: id(parent), kind, name },
  })
  return [
    sampleRequest([
      root(),
      sampleSpan(id(2), at(100, 3_800, 1, 1, SPAN_GENERATE)),
      sampleSpan(id(3), at(110, 200, 2, 3, 'POST')),
    ]),
    sampleRequest(
      [
        sampleSpan(id(4), at(120 + relayMs, 180, 3, 2, 'POST /generate')),
        sampleSpan(id(5), at(130 + relayMs, 160, 4, 3, 'POST')),
      ],
      SERVICE_RELAY,
    ),
    sampleRequest(
      [
        sampleSpan(id(6), at(140 + serverMs, 140, 5, 2, 'POST /generate')),
        sampleSpan(id(7), at(300 + serverMs, 3_400, 2, 1, 'compile')),
      ],
      SERVICE_SERVER,
    ),
  ]
}
const merged = (requests: TracesData[]) => ({ resourceSpans: requests.flatMap(({ resourceSpans }) => resourceSpans) })
const HOUR = 3_600_000

test.each([
  ['the server is an hour ahead', 0, HOUR],
  ['the server is an hour behind', 0, -HOUR],
  ['relay and server are an hour ahead', HOUR, HOUR],
  ['each is wrong in its own way', HOUR, -HOUR],
  ['the server is a tenth of a second behind', 0, -100],
])('Where %s, spans stand where they happened, and the page says so', async (_, relayMs, serverMs) => {
  const right = layOut(merged(skewed(0, 0)))
  const wrong = layOut(merged(skewed(relayMs, serverMs)))
  expect(wrong.rows.map(({ spanId }) => spanId)).toEqual(right.rows.map(({ spanId }) => spanId))
  for (const [n, row] of wrong.rows.entries()) expect(row.startMs).toBeCloseTo(right.rows[n]?.startMs ?? -1, 3)
  expect(wrong.totalMs).toBe(4_000)
  expect(wrong.shifts.get(SERVICE_SERVER)).toBeCloseTo(-serverMs, 3)
  const { findings } = await pageOf(...skewed(relayMs, serverMs))
  const amount = serverMs === -100 ? '100 ms' : '1 h 0 min'
  const direction = serverMs < 0 ? 'behind' : 'ahead of'
  expect(findings).toContain(
    `The clock of ${SERVICE_SERVER} is ${amount} ${direction} the others; its times are corrected.`,
  )
})

test('Where the browser’s clock is wrong, the others are shown by it: the run begins with the click', async () => {
  const { rows, shifts } = layOut(merged(skewed(-HOUR, -HOUR)))
  expect(rows[0]).toMatchObject({ name: SPAN_RUN, startMs: 0 })
  expect(shifts.has(SERVICE_EXTENSION)).toBe(false)
})

test('Clocks that agree are left alone, also where one call was cut off', () => {
  expect(layOut(merged(skewed(0, 0))).shifts.size).toBe(0)
  const cut = skewed(0, 0)
  const [call] = cut[0]?.resourceSpans[0]?.scopeSpans?.[0]?.spans?.slice(2) ?? []
  Object.assign(call ?? {}, sampleSpan(id(3), { ...call, startMs: 110, durationMs: 20 }), {
    parentSpanId: id(2),
    kind: 3,
  })
  expect(layOut(merged(cut)).shifts.size).toBe(0)
})

test('Without its root a trace is drawn, and the page says what is missing and what to ask for', async () => {
  const request = sampleRequest([sampleSpan(id(2), { parentSpanId: ROOT, name: 'compile' })], SERVICE_SERVER)
  const { names, findings, document } = await pageOf(request)
  expect(names).toEqual(['compile'])
  expect(document.querySelector('.meaning')?.textContent).toBe(SHAPES.browser_missing.meaning)
  expect(findings.join()).toContain('1 span is named as a parent but not here')
  expect(document.querySelector('#tell')?.textContent).toBe(SHAPES.browser_missing.tell)
})

test('A part of the browser without the click, and parents that are missing in between, are named', async () => {
  const { names, findings } = await pageOf(
    sampleRequest([
      sampleSpan(id(3), { parentSpanId: id(2), name: 'deliver' }),
      sampleSpan(id(5), { parentSpanId: id(4), name: 'extract' }),
    ]),
  )
  expect(names).toEqual(['deliver', 'extract'])
  expect(findings).toContain('The first span, from the click, is missing.')
  expect(findings.join()).toContain('2 spans are named as a parent but not here')
})

test('Spans that call one another in a circle are drawn once each, and named', async () => {
  const { names, findings } = await pageOf(
    sampleRequest([
      root(),
      sampleSpan(id(2), { parentSpanId: id(3), name: 'a' }),
      sampleSpan(id(3), { parentSpanId: id(2), name: 'b' }),
      sampleSpan(id(4), { parentSpanId: id(4), name: 'c' }),
    ]),
  )
  expect(names.toSorted()).toEqual(['a', 'b', 'c', SPAN_RUN])
  expect(findings).toContain('3 spans call one another in a circle.')
})

test('A span that came again, also as something else, is drawn once, as it first came', async () => {
  const again = { name: 'not the first', durationMs: 9 }
  const { names } = await pageOf(
    sampleRequest([root(), root(again)]),
    sampleRequest([root(again), sampleSpan(id(2), { parentSpanId: ROOT, name: 'compile' })]),
  )
  expect(names).toEqual([SPAN_RUN, 'compile'])
})

test('Two roots are both drawn, and the page says that there are more', async () => {
  const { names, findings } = await pageOf(sampleRequest([root(), sampleSpan(id(2), { name: 'another', startMs: 10 })]))
  expect(names).toEqual([SPAN_RUN, 'another'])
  expect(findings).toContain('1 more span has no parent either.')
})

test('A root without an end is said to have none: it goes on, or the browser was closed', async () => {
  const { endTimeUnixNano: _, ...open } = root()
  const { heading, document, rows } = await pageOf(sampleRequest([open]))
  expect(heading).toContain(SHAPES.root_without_end.meaning)
  expect(document.querySelector('#tell')?.textContent).toBe(SHAPES.root_without_end.tell)
  expect(rows[0]?.textContent).toContain('no end')
})

test('A worker that died and was taken up is told of, and one that nobody took up is the failure', async () => {
  const events = [{ name: EVENT_WORKER_TERMINATED }, { name: EVENT_WORKER_RESUMED }]
  const attributes = [{ key: ATTR_WORKER_RESUMES, value: { intValue: 1 } }]
  const resumed = await pageOf(sampleRequest([root({ events, attributes })]))
  expect(resumed.heading).toContain('Done:')
  expect(resumed.findings).toContain(SHAPES.worker_resumed.meaning)
  const died = await pageOf(sampleRequest([root({ events: events.slice(0, 1), status: { code: 2 } })]))
  expect(died.document.querySelector('.meaning')?.textContent).toBe(SHAPES.worker_died.meaning)
})

test('A browser that asked, and a server that told nothing, is a missing part; so is what the browser let go', async () => {
  const request = sampleRequest([
    root(),
    sampleSpan(id(2), { parentSpanId: ROOT, name: SPAN_GENERATE, durationMs: 4_000 }),
  ])
  request.resourceSpans[0]?.resource?.attributes?.push({ key: RESOURCE_DROPPED_EXPIRED, value: { intValue: 7 } })
  const { findings } = await pageOf(request)
  expect(findings).toContain(SHAPES.server_missing.meaning)
  expect(findings.join()).toContain('the browser let go 7 spans unsent')
})

test('A stretch of which nothing is known is named with what is around it', async () => {
  const { findings } = await pageOf(
    sampleRequest([
      root(),
      sampleSpan(id(2), { parentSpanId: ROOT, name: 'extract', durationMs: 1_000 }),
      sampleSpan(id(3), { parentSpanId: ROOT, name: 'deliver', startMs: 3_500, durationMs: 500 }),
    ]),
  )
  expect(findings).toContain('Of 2.5 s after “extract” and before “deliver” nothing is recorded.')
})

test('What the run waited for is marked with a word, and what ran beside it is not', async () => {
  const { rows } = await pageOf(
    sampleRequest([
      root(),
      sampleSpan(id(2), { parentSpanId: ROOT, name: 'slow', startMs: 0, durationMs: 3_900 }),
      sampleSpan(id(3), { parentSpanId: ROOT, name: 'beside', startMs: 100, durationMs: 500 }),
      sampleSpan(id(4), { parentSpanId: id(2), name: 'inner', startMs: 10, durationMs: 3_800 }),
      sampleSpan(id(5), { parentSpanId: ROOT, name: 'last', startMs: 3_900, durationMs: 100 }),
    ]),
  )
  const critical = rows.filter((row) => row.querySelector('.path')?.textContent === 'critical')
  expect(critical.map((row) => row.querySelector('.label')?.textContent)).toEqual([SPAN_RUN, 'slow', 'inner', 'last'])
})

test.each([1_000, 10_000])(
  'Of %i spans the first page draws 500, the failed and the critical among them',
  async (many) => {
    const spans = Array.from({ length: many - 1 }, (_, n) =>
      sampleSpan(id(n + 2), {
        parentSpanId: ROOT,
        startMs: Math.floor(n / 10),
        durationMs: 1,
        name: `span ${n}`,
        ...(n === many - 2 ? { status: { code: 2 } } : {}),
      }),
    )
    const store = temporaryStore(undefined, () => NOW)
    await put(store, sampleRequest([root(), ...spans]))
    const { get } = consoleOf(store, { now: () => NOW + 5 * 60_000 })
    // As text: a document of that many rows is seconds of jsdom.
    const page = async (query: string) => (await get(`/support/${TRACE_ID}${query}`)).text()
    const rowsOf = (html: string) => html.match(/<li class="[^"]*"><details/g)?.length
    const first = await page('')
    expect(rowsOf(first)).toBe(500)
    expect(first.match(/<bdi class="label">[^<]*/g)?.at(-1)).toMatch(new RegExp(`>span ${many - 2}$`))
    expect(first).toContain(`${many - 500} more spans are not drawn.`)
    expect(rowsOf(await page('?rows=all'))).toBe(Math.min(many, 2_000))
  },
)

test('Words that turn around, that are not seen, and that never end are shown harmlessly, and other languages as they are', async () => {
  const key = 'pass_ats.posting.host'
  const { document, names, response } = await pageOf(
    sampleRequest([
      root({ attributes: [text(key, `${'€'.repeat(100_000)}`)] }),
      sampleSpan(id(2), { parentSpanId: ROOT, attributes: [text(key, 'invoice\u202efdp.exe\u0000\u200b')] }),
      sampleSpan(id(3), {
        parentSpanId: ROOT,
        startMs: 1,
        attributes: [text(key, 'пример.рф 例え.テスト 👩‍🍳 \ud800')],
      }),
      sampleSpan(id(4), {
        parentSpanId: ROOT,
        startMs: 2,
        attributes: [text(key, '</dd><script src=//evil></script>')],
      }),
    ]),
  )
  expect(names).toHaveLength(4)
  const shown = document.querySelector('.waterfall')?.textContent ?? ''
  expect(shown).toContain('(100000 characters)')
  expect(shown.match(/€/g)?.length).toBe(500)
  expect(shown).toContain('invoice⟨U+202E⟩fdp.exe⟨U+0000⟩⟨U+200B⟩')
  expect(shown).toContain('пример.рф 例え.テスト')
  expect(shown).toContain('</dd><script src=//evil></script>')
  expect(document.querySelectorAll('script')).toHaveLength(1)
  const policy = response.headers.get('content-security-policy') ?? ''
  expect(policy).toContain("script-src 'self'")
  expect(policy).not.toMatch(/unsafe|https?:|\*/)
})

test('Spans that are still arriving make a page that follows the run, until its end is there', async () => {
  const { store, page } = await consoleWith(sampleRequest([sampleSpan(id(2), { parentSpanId: ROOT })], SERVICE_SERVER))
  const going = await page(`/support/${TRACE_ID}`)
  expect(going.heading).toContain(SHAPES.running.meaning)
  expect(going.document.querySelector('.findings'), 'what is still to come is not missing').toBeNull()
  expect(going.document.querySelector('[data-live]')?.getAttribute('data-live')).toBe(`/support/${TRACE_ID}/events`)
  expect(going.document.querySelector('noscript meta')?.getAttribute('http-equiv')).toBe('refresh')
  await take(store, sampleRequest([root()]))
  const done = await page(`/support/${TRACE_ID}`)
  expect(done.heading).toContain('Done:')
  expect(done.document.querySelector('[data-live], noscript')).toBeNull()
})
