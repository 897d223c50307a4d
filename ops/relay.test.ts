import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { decode, encode, spansOf } from '../relay/otlp.ts'
import { deadAddress, listen, sampleRequest, sampleSpan, temporaryPath, temporaryStore } from '../relay/sample-run.ts'

const SPAN_IDS = ['00f067aa0ba902b1', '00f067aa0ba902b2']
const DESTINATION = 'http://collector:4318/v1/traces'

/** A store that is open, as in a relay that runs, with two dead letters. */
async function storeWithLetters() {
  const path = temporaryPath()
  const store = temporaryStore(path)
  const letters = SPAN_IDS.map((spanId, n) => ({
    destination: DESTINATION,
    refusedAt: Date.UTC(2026, 0, 1, 0, n),
    status: 400,
    reason: 'no such\ntenant',
    encoding: 'json' as const,
    spans: 1,
    body: gzipSync(encode(sampleRequest([sampleSpan(spanId)]), 'json')),
  }))
  await store.advance(DESTINATION, { file: 1, seq: 2 }, letters)
  return path
}

async function relayCommand(path: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['ops/relay.ts', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, RELAY_STORE: path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: Number((await exited)[0]), lines: stdout.trim().split('\n'), stdout, stderr }
}

test('Dead letters are listed with their status and reason, and shown as OTLP JSON, beside a relay that runs', async () => {
  const path = await storeWithLetters()
  for (const args of [['dead-letters'], ['dead-letters', 'list']]) {
    const { code, lines } = await relayCommand(path, args)
    expect(code).toBe(0)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(
      /^1 {2}2026-01-01T00:00:00\.000Z {2}400 {2}1 spans, \d+ bytes {2}http.* {2}no such tenant$/,
    )
  }
  const shown = await relayCommand(path, ['dead-letters', 'show', '2'])
  expect([...spansOf(JSON.parse(shown.stdout))].map(({ spanId }) => spanId)).toEqual([SPAN_IDS[1]])
})

test('A dead letter that is replayed goes when it is taken, and stays when it is refused once more', async () => {
  const path = await storeWithLetters()
  const taken: string[] = []
  const url = await listen(async (request, response) => {
    const data = decode(gunzipSync(await buffer(request)), 'json')
    const ids = [...spansOf(data)].map(({ spanId }) => spanId)
    const refused = ids.includes(SPAN_IDS[0] ?? '')
    if (!refused) taken.push(...ids)
    response.writeHead(refused ? 413 : 200).end()
  })
  const { code, lines } = await relayCommand(path, ['dead-letters', 'replay', 'all'], {
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
  })
  expect(code).toBe(1)
  expect(lines).toEqual(['1  refused: 413', '2  taken'])
  expect(taken).toEqual([SPAN_IDS[1]])
  expect((await relayCommand(path, ['dead-letters'])).lines).toEqual([expect.stringMatching(/^1 /)])
})

test('Replaying stops at the first that nobody answers, and all are still there', async () => {
  const path = await storeWithLetters()
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: await deadAddress() }
  const { code, lines } = await relayCommand(path, ['dead-letters', 'replay', 'all'], env)
  expect(code).toBe(1)
  expect(lines).toEqual(['1  failed: ECONNREFUSED'])
  expect((await relayCommand(path, ['dead-letters'])).lines).toHaveLength(2)
})

test('Dead letters are dropped by number, or all', async () => {
  const path = await storeWithLetters()
  expect((await relayCommand(path, ['dead-letters', 'drop', '1'])).code).toBe(0)
  expect((await relayCommand(path, ['dead-letters', 'drop', '1'])).stderr).toContain('There is no dead letter 1.')
  expect((await relayCommand(path, ['dead-letters', 'drop', 'all'])).code).toBe(0)
  expect((await relayCommand(path, ['dead-letters'])).lines).toEqual(['No dead letters.'])
})

test.each([
  [['dead-letters', 'show'], 2, 'Usage:'],
  [['dead-letters', 'bury', '1'], 2, 'Usage:'],
  [['dead-letters', 'show', 'all'], 2, 'Usage:'],
  [[], 2, 'Usage:'],
  [['dead-letters', 'replay', '1'], 1, 'OTEL_EXPORTER_OTLP_ENDPOINT is not set'],
])('%j ends with %i and says why', async (args, code, message) => {
  const answer = await relayCommand(await storeWithLetters(), args)
  expect(answer.code).toBe(code)
  expect(answer.stderr).toContain(message)
})

test('Without a store the folder is named, and none is made', async () => {
  const path = temporaryPath()
  expect((await relayCommand(path, ['dead-letters'])).stderr).toContain(`There is no store in ${path}.`)
})
