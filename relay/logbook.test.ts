import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { RESOURCE_SERVICE_NAME, SERVICE_SERVER } from '../names.ts'
import { createApp } from './app.ts'
import { consoleWith } from './console/sample-console.ts'
import { intoBook } from './log-intake.ts'
import { type Line, openLogbook } from './logbook.ts'
import {
  AS_SERVICE,
  asInstall,
  sampleParts,
  sampleRequest,
  sampleSpan,
  silent,
  TRACE_ID,
  temporaryLogbook,
  temporaryStore,
  text,
} from './sample-run.ts'

const OTHER = 'f'.repeat(32)
const line = (line: Partial<Line> = {}): Line => ({
  ...{ traceId: TRACE_ID, at: 1_000, service: SERVICE_SERVER, level: 'info', message: 'stage ended', fields: {} },
  ...line,
})
const record = (attributes: object[] = [], more: object = {}) => ({
  ...{ traceId: TRACE_ID.toUpperCase(), timeUnixNano: '1767225600123000000', severityNumber: 13 },
  ...{ body: { stringValue: 'stage ended' }, attributes, ...more },
})
const request = (...logRecords: object[]) => ({
  resourceLogs: [
    { resource: { attributes: [text(RESOURCE_SERVICE_NAME, SERVICE_SERVER)] }, scopeLogs: [{ logRecords }] },
  ],
})

function intake() {
  const book = temporaryLogbook()
  const app = createApp(sampleParts(temporaryStore(), { book }))
  const send = (body: unknown, headers: Record<string, string> = AS_SERVICE) =>
    app.request('/v1/logs', {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    })
  return { app, book, send }
}

test('A service’s lines are taken, and those of a run are found by it', async () => {
  const { book, send } = intake()
  const attributes = [text('stage', 'llm'), { key: 'ms', value: { intValue: '12' } }]
  const response = await send(request(record(attributes), record([], { traceId: OTHER }), record([], { traceId: '' })))
  expect([response.status, await response.json()]).toEqual([200, {}])
  expect(book.of(TRACE_ID)).toEqual([line({ at: 1_767_225_600_123, level: 'warn', fields: { stage: 'llm', ms: 12 } })])
  expect(book.of(OTHER)).toHaveLength(1)
})

test('Of a line only listed words stay, whoever sends it', async () => {
  const { book, send } = intake()
  const attributes = [
    ...[text('stage', 'llm'), text('name', 'Ada'), text('profile', 'x'), text('reason', 'ada@example.org')],
    ...[text('cause', 'two words'), text('code', 'x'.repeat(100)), { key: 'failure' }],
  ]
  await send(request(record(attributes, { body: { stringValue: 'write to ada@example.org' } })))
  expect(book.of(TRACE_ID)).toMatchObject([{ fields: { stage: 'llm' }, message: '[redacted:email]' }])
  expect(JSON.stringify(book.of(TRACE_ID))).not.toMatch(/Ada|ada@/)
})

test('Nobody else sends lines, and what is none is refused with the reason', async () => {
  const { app, book, send } = intake()
  const install = await asInstall(app.request('/installs', { method: 'POST' }))
  expect((await send(request(record()), { authorization: '' })).status).toBe(401)
  expect((await send(request(record()), { ...install })).status).toBe(403)
  expect((await send('{')).status).toBe(400)
  expect((await send('null')).status).toBe(400)
  expect((await send(request(record()), { ...AS_SERVICE, 'content-type': 'application/x-protobuf' })).status).toBe(415)
  expect((await send(request(record()), { ...AS_SERVICE, 'content-encoding': 'gzip' })).status).toBe(415)
  expect((await send(`"${'x'.repeat(1024 * 1024)}"`)).status).toBe(413)
  expect(book.of(TRACE_ID)).toEqual([])
  const many = await send(request(...Array.from({ length: 2_001 }, () => record())))
  expect(await many.json()).toMatchObject({ partialSuccess: { rejectedLogRecords: '1' } })
})

test('The relay’s own lines are in the book when they are of a run, and on its own way out in any case', () => {
  const book = temporaryLogbook()
  const out: string[] = []
  const log = intoBook(book, { write: (written) => void out.push(written) })
  const written = {
    level: 40,
    time: 5,
    service: 'x',
    trace_id: TRACE_ID,
    span_id: 'y',
    status: 502,
    msg: 'request failed',
  }
  log.write(JSON.stringify(written))
  log.write(JSON.stringify({ ...written, level: 20 }))
  log.write(JSON.stringify({ level: 30, time: 5, msg: 'relay listening' }))
  expect(out).toHaveLength(3)
  expect(book.of(TRACE_ID)).toEqual([
    line({ at: 5, service: 'pass-ats-relay', level: 'warn', message: 'request failed', fields: { status: 502 } }),
  ])
})

test('Lines go when their time is over, and are there after a restart until then', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pass-ats-logbook-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  let now = 0
  const first = openLogbook(folder, 1_000, () => now)
  first.add(line())
  first.close()
  const book = openLogbook(folder, 1_000, () => now)
  onTestFinished(() => book.close())
  now = 600
  book.add(line({ traceId: OTHER }))
  book.tend(silent)
  expect(book.of(TRACE_ID)).toHaveLength(1)
  now = 1_500
  book.tend(silent)
  expect(book.of(TRACE_ID)).toEqual([])
  expect(book.of(OTHER)).toHaveLength(1)
})

test('Of more lines than there is room for the oldest go, and those that came too fast are counted', () => {
  const book = temporaryLogbook()
  const told: object[] = []
  const log = { ...silent, warn: (counts: object) => void told.push(counts) } as typeof silent
  for (let batch = 0; batch < 20; batch += 1) {
    for (let n = 0; n < 2_000; n += 1) book.add(line({ traceId: batch === 0 ? TRACE_ID : OTHER }))
    book.of(OTHER)
  }
  book.tend(log)
  expect(book.of(TRACE_ID)).toEqual([])
  expect(book.of(OTHER)).toHaveLength(200)
  for (let n = 0; n < 2_007; n += 1) book.add(line())
  book.tend(log)
  expect(told).toEqual([{ lines: 7 }])
})

test('The page of a run has its lines, as text, and says when there are none', async () => {
  const { page, book } = await consoleWith(sampleRequest([sampleSpan('00f067aa0ba902b7')]))
  expect((await page(`/support/${TRACE_ID}`)).document.body.textContent).toContain('No line about this run is here')
  book.add(line({ level: 'error', message: '<img src=x onerror=alert(1)>', fields: { stage: 'llm' } }))
  const { document } = await page(`/support/${TRACE_ID}`)
  const row = document.querySelector('.log tbody tr')
  expect(row?.textContent).toMatch(/server.*error.*<img src=x onerror=alert\(1\)>.*stage.*llm/s)
  expect(row?.querySelector('img')).toBeNull()
})
