import { expect, test } from 'vitest'
import { ATTR_FAILURE_CODE, ATTR_STAGE, RESOURCE_SERVICE_VERSION, SPAN_RUN } from '../../names.ts'
import type { TracesData } from '../otlp.ts'
import { sampleRequest, sampleSpan, temporaryStore, text } from '../sample-run.ts'
import { consoleOf, put } from './sample-console.ts'

const HOUR = 3_600_000
const START = Date.UTC(2026, 0, 1, 12)
const traceId = (n: number) => `${n.toString(16).padStart(8, '0')}${'4bf92f35'.repeat(3)}`
const ROOT = '00000000000000a0'

function run(n: number, failure?: { code: string; stage: string }, version = '1.0.0', compileMs = 300): TracesData {
  const failed = failure && {
    status: { code: 2 },
    attributes: [text(ATTR_FAILURE_CODE, failure.code), text(ATTR_STAGE, failure.stage)],
  }
  const request = sampleRequest([
    sampleSpan(ROOT, { traceId: traceId(n), name: SPAN_RUN, durationMs: 1_000 * (n + 1), ...failed }),
    sampleSpan('00000000000000b0', { traceId: traceId(n), parentSpanId: ROOT, name: 'compile', durationMs: compileMs }),
  ])
  request.resourceSpans[0]?.resource?.attributes?.push(text(RESOURCE_SERVICE_VERSION, version))
  return request
}

/** Six runs, ten minutes apart; the last a moment ago. */
async function sixRuns() {
  let now = START
  const store = temporaryStore(undefined, () => now)
  const crash = { code: 'tectonic_crash', stage: 'compile' }
  const all = [
    run(0),
    run(1, crash),
    run(2, { code: 'llm_timeout', stage: 'llm' }),
    run(3, undefined, '1.1.0'),
    run(4, crash, '1.1.0'),
    run(5, crash),
  ]
  for (const [n, request] of all.entries()) {
    now = START + n * 10 * 60_000
    await put(store, request)
  }
  const failed = () => store.failed(0, now + HOUR, 10).length
  await expect.poll(failed, { message: 'the marks are copied a moment later' }).toBe(4)
  const console = consoleOf(store, { now: () => now })
  const listed = async (query: string) => {
    const { document } = await console.page(`/support${query}`)
    return [...document.querySelectorAll('.runs a')].map((link) => link.textContent?.slice(0, 8))
  }
  return { ...console, listed, store, later: (ms: number) => (now += ms) }
}
const ids = (...numbers: number[]) => numbers.map((n) => n.toString(16).padStart(8, '0'))

test('Runs are listed newest first, with what became of each, and narrowed down by what is in the URL', async () => {
  const { listed, page } = await sixRuns()
  expect(await listed('')).toEqual(ids(5, 4, 3, 2, 1, 0))
  expect(await listed('?outcome=failed')).toEqual(ids(5, 4, 2, 1))
  expect(await listed('?outcome=done')).toEqual(ids(3, 0))
  expect(await listed('?code=tectonic_crash')).toEqual(ids(5, 4, 1))
  expect(await listed('?step=llm')).toEqual(ids(2))
  expect(await listed('?version=1.1.0')).toEqual(ids(4, 3))
  expect(await listed('?outcome=failed&version=1.1.0&step=compile')).toEqual(ids(4))
  expect(await listed('?from=2026-01-01T12:15&to=2026-01-01T12:35')).toEqual(ids(3, 2))
  expect(await listed('?outcome=failed&from=2026-01-01T12:15&to=2026-01-01T12:45')).toEqual(ids(4, 2))
  expect(await listed('?outcome=nonsense&from=yesterday&to=%00&step=&code=')).toEqual(ids(5, 4, 3, 2, 1, 0))
  const { document } = await page('/support?code=llm_timeout&outcome=failed')
  expect(document.querySelector('.runs li')?.textContent?.replace(/\s+/g, ' ')).toContain(
    '✕ Failed at “llm” llm_timeout 3.0 s',
  )
  const form = document.querySelector('form.filter')
  expect(form?.querySelector('select[name=code] option[selected]')?.textContent).toBe('llm_timeout')
  expect(form?.closest('details')?.hasAttribute('open')).toBe(true)
})

test('What nothing matches is said, with how many were looked at', async () => {
  const { page } = await sixRuns()
  const { document } = await page('/support?version=9')
  expect(document.querySelector('.runs')).toBeNull()
  expect(document.body.textContent).toContain('None of the newest 6 runs is like that.')
})

test('More runs than a page shows are on the next one, each once', async () => {
  let now = START
  const store = temporaryStore(undefined, () => now)
  for (let n = 0; n < 70; n++) {
    now += 1_000
    await put(store, run(n))
  }
  const { page } = consoleOf(store, { now: () => now })
  const seen: (string | null)[] = []
  let path: string | undefined = '/support?outcome=done'
  for (let pages = 0; path !== undefined && pages < 5; pages++) {
    const { document }: { document: Document } = await page(path)
    seen.push(...[...document.querySelectorAll('.runs a')].map((link) => link.textContent))
    path = document.querySelector('a[rel=next]')?.getAttribute('href') ?? undefined
  }
  expect(seen).toEqual(Array.from({ length: 70 }, (_, n) => traceId(69 - n)))
})

test('A failure’s page tells how often its code occurred within the last hour, and since when', async () => {
  const { page, later } = await sixRuns()
  const often = async (n: number) =>
    (await page(`/support/${traceId(n)}`)).document.querySelector('.often')?.textContent
  expect(await often(5)).toBe('This happened 3 times in the last hour, first 40 min ago.')
  expect(await often(2)).toBe('This happened once in the last hour.')
  later(45 * 60_000)
  expect(await often(1)).toBe('This happened 2 times in the last hour, first 55 min ago.')
  later(10 * HOUR)
  expect(await often(1)).toBe('In the last hour no other run failed like this.')
})

test('A step is held against what it usually takes in recent runs, and called slow when it is', async () => {
  const { page, store } = await sixRuns()
  const slow = run(6, undefined, '1.0.0', 2_000)
  await put(store, slow, run(7), run(8))
  const { document } = await page(`/support/${traceId(6)}`)
  const row = [...document.querySelectorAll('.waterfall > li')].at(-1)
  expect(row?.querySelector('.slow')?.textContent).toBe('slow')
  expect(row?.querySelector('.attributes')?.textContent).toContain('usually takes300 ms')
  const usual = await page(`/support/${traceId(7)}`)
  expect(usual.document.querySelector('.slow')).toBeNull()
})

test('Links lead to where else the trace is, and to the runbooks', async () => {
  const { store } = await sixRuns()
  const links = [{ name: 'Jaeger', url: 'https://jaeger.example/trace/{trace_id}?x={trace_id}' }]
  const { page } = consoleOf(store, { links, runbooks: 'https://git.example/alerts' })
  const { document } = await page(`/support/${traceId(1)}`)
  const hrefs = [...document.querySelectorAll('.elsewhere a')].map((link) => link.getAttribute('href'))
  const id = traceId(1)
  expect(hrefs).toEqual([`/api/traces/${id}?download`, `https://jaeger.example/trace/${id}?x=${id}`])
})

test('The download is the trace, named after it', async () => {
  const { get } = await sixRuns()
  const answer = await get(`/api/traces/${traceId(1)}?download`)
  expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${traceId(1)}.json"`)
  expect((await answer.json()).resourceSpans).toHaveLength(1)
})
