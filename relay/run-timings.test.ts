import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { expect, test } from 'vitest'
import { type Sample, scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { readTimings } from './run-timings.ts'
import { startRelay } from './running-relay.ts'
import { AS_STAFF, asInstall, deadAddress, listen, SYNTHETIC_KEY, temporaryPath } from './sample-run.ts'

const PDF = Buffer.from('%PDF-1.7 and so on')

/** The real relay, before a server that takes every run and has a PDF of those whose ID does not begin with f. */
async function startRuns(env: Record<string, string> = {}) {
  const seen: IncomingHttpHeaders[] = []
  const serverUrl = await listen((request, response) => {
    seen.push(request.headers)
    if (request.method === 'POST') request.resume().on('end', () => response.writeHead(202).end('{}'))
    else if (request.url?.startsWith('/runs/f')) response.writeHead(404).end('{}')
    else response.writeHead(200, { 'content-type': 'application/pdf' }).end(PDF)
  })
  const settings = { RELAY_STORE: temporaryPath(), RELAY_SYNTHETIC_KEYS: `e2e:${SYNTHETIC_KEY}`, SERVER_URL: serverUrl }
  const { url, metricsUrl } = await startRelay({ ...settings, ...env })
  const install = await asInstall(fetch(`${url}/installs`, { method: 'POST' }))
  const contextOf = (id: string) => ({ traceparent: `00-${id}-00f067aa0ba902b7-03` })
  const generate = async (id: string, timings: string, headers: Record<string, string> = install) => {
    const sent = { ...headers, ...contextOf(id), 'pass-ats-timings': timings }
    const answer = await fetch(`${url}/generate`, { method: 'POST', body: '{}', headers: sent })
    await answer.text()
    return answer.status
  }
  const fetchPdf = async (id: string, timings: string, headers: Record<string, string> = install) => {
    const sent = { ...headers, ...contextOf(id), 'pass-ats-timings': timings }
    return (await fetch(`${url}/runs/${id}/resume.pdf`, { headers: sent })).arrayBuffer()
  }
  return { url, seen, generate, fetchPdf, install, scrape: () => scrape(metricsUrl) }
}

const newId = (begin = 'a') => begin + randomBytes(16).toString('hex').slice(1)
const stageCount = (samples: Sample[], stage: string, outcome: string) =>
  sumOf(samples, 'pass_stage_duration_seconds_count', { stage, outcome, synthetic: 'false' })
const runCount = (samples: Sample[], outcome: string, synthetic = 'false') =>
  sumOf(samples, 'pass_e2e_duration_seconds_count', { outcome, synthetic })

test('Every run counts once, with the stages that only the browser knows: those that work, and those that fail here', async () => {
  const runs = await startRuns({ RELAY_QUOTA_INSTALL: 'runs=12' })
  const ids = Array.from({ length: 10 }, () => newId())
  for (const id of ids) expect(await runs.generate(id, 'extract=812, request=1034')).toBe(202)
  // A worker that was restarted posts its run again.
  expect(await runs.generate(ids[0] as string, 'extract=812, request=9034')).toBe(202)
  for (const id of ids) expect(await runs.fetchPdf(id, 'elapsed=12000')).toHaveProperty('byteLength', PDF.length)
  await runs.fetchPdf(ids[0] as string, 'elapsed=99000')
  // Its PDF is not there; and for two more there is no room within the hour.
  const gone = newId('f')
  expect(await runs.generate(gone, 'extract=1, request=2')).toBe(202)
  await runs.fetchPdf(gone, 'elapsed=3000')
  for (const id of [newId(), newId()]) expect(await runs.generate(id, 'extract=5,request=40')).toBe(429)

  const samples = await runs.scrape()
  expect(stageCount(samples, 'extract', 'ok')).toBe(13)
  expect(stageCount(samples, 'request', 'ok')).toBe(13)
  expect(stageCount(samples, 'deliver', 'ok')).toBe(10)
  expect(stageCount(samples, 'deliver', 'failed')).toBe(1)
  expect(runCount(samples, 'ok')).toBe(10)
  expect(runCount(samples, 'failed')).toBe(3)
  expect(sumOf(samples, 'pass_runs_total', { outcome: 'failed', failure_code: 'rate_limited' })).toBe(2)
  expect(sumOf(samples, 'pass_relay_timings_total', { result: 'repeated' })).toBe(2)
  expect(sumOf(samples, 'pass_relay_timings_total', { result: 'malformed' })).toBe(0)
  // What the click to the PDF took is what was told and what the PDF took here.
  const seconds = sumOf(samples, 'pass_e2e_duration_seconds_sum', { outcome: 'ok' })
  expect(seconds).toBeGreaterThan(120)
  expect(seconds).toBeLessThan(180)
  // The server is told when the click was, by milliseconds that the relay has checked.
  expect(runs.seen[0]).toMatchObject({ 'pass-ats-elapsed': '1034' })
  expect(runs.seen[0]).not.toHaveProperty('pass-ats-timings')
})

test('A point in the chart names the run that it is', async () => {
  const runs = await startRuns()
  const id = newId()
  await runs.generate(id, 'extract=812, request=1034')
  await runs.fetchPdf(id, 'elapsed=12000')
  const samples = await runs.scrape()
  for (const name of ['pass_stage_duration_seconds_bucket', 'pass_e2e_duration_seconds_bucket']) {
    expect(samples.find((sample) => sample.name === name && sample.exemplar)?.exemplar).toEqual({ trace_id: id })
  }
  const requests = samples.filter(({ name, exemplar }) => name.startsWith('http_server') && exemplar)
  expect(requests.some(({ exemplar }) => exemplar?.trace_id === id)).toBe(true)
})

test('A run whose server is not there has failed here, and counts', async () => {
  const runs = await startRuns({ SERVER_URL: await deadAddress() })
  expect(await runs.generate(newId(), 'extract=812, request=1034')).toBe(502)
  const samples = await runs.scrape()
  expect(runCount(samples, 'failed')).toBe(1)
  expect(sumOf(samples, 'pass_runs_total', { failure_code: 'server_unreachable', synthetic: 'false' })).toBe(1)
})

test('A check’s runs are counted apart', async () => {
  const runs = await startRuns()
  const key = { authorization: `Bearer ${SYNTHETIC_KEY}` }
  const check = await asInstall(fetch(`${runs.url}/installs`, { method: 'POST', headers: key }))
  const id = newId()
  await runs.generate(id, 'extract=812, request=1034', check)
  await runs.fetchPdf(id, 'elapsed=12000', check)
  const samples = await runs.scrape()
  expect([runCount(samples, 'ok', 'true'), runCount(samples, 'ok')]).toEqual([1, 0])
  const spans = await (await fetch(`${runs.url}/api/traces/${id}`, { headers: AS_STAFF })).json()
  const types = [...JSON.stringify(spans).matchAll(/"user_agent.synthetic.type","value":\{"stringValue":"(\w+)"/g)]
  // Both requests, as they came and as they went on.
  expect(types.map(([, type]) => type)).toEqual(['test', 'test', 'test', 'test'])
})

test.each([
  'extract=-1, request=2',
  'extract=1.5',
  'extract=1e3',
  'extract=600001',
  'extract=1, extract=2',
  'extract=1, user=2',
  'toString=1',
  'extract=1;request=2',
  'extract = 1',
  'extract=1,  request=2',
  'EXTRACT=1',
  'extract=',
  'extract=1,',
  '',
  `extract=1${', request=2'.repeat(20)}`,
])('Timings like "%s" are left out, and the request goes on', async (header) => {
  expect(readTimings(header)).toBeUndefined()
})

test('What is no timing is counted, and observed nowhere', async () => {
  const runs = await startRuns()
  expect(await runs.generate(newId(), 'extract=-1, request=2')).toBe(202)
  const id = newId()
  expect(await runs.generate(id, 'extract=600001')).toBe(202)
  await runs.fetchPdf(id, 'elapsed=NaN')
  // Nobody has started this run here: that there is no PDF of it is no failure of ours.
  await runs.fetchPdf(newId('f'), 'elapsed=1000')
  const samples = await runs.scrape()
  expect(sumOf(samples, 'pass_relay_timings_total', { result: 'malformed' })).toBe(3)
  expect(sumOf(samples, 'pass_stage_duration_seconds_count')).toBe(0)
  expect(sumOf(samples, 'pass_e2e_duration_seconds_count')).toBe(0)
  expect(runs.seen[0]).not.toHaveProperty('pass-ats-elapsed')
})
