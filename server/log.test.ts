import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { SERVICE_RELAY, SERVICE_SERVER } from '../names.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'
import type { Line } from '../relay/logbook.ts'
import { Failure } from './failure.ts'
import { createLog } from './log.ts'

const RUN = '0123456789abcdef0123456789abcdef'

function lines(): { log: ReturnType<typeof createLog>; written: Record<string, unknown>[] } {
  const written: Record<string, unknown>[] = []
  return { log: createLog('info', { write: (line: string) => void written.push(JSON.parse(line)) }), written }
}

it('what is personal does not get into a line, at whatever place somebody hands it over', () => {
  const { log, written } = lines()
  const profile = { basics: { name: 'Ada Quill', email: 'ada@example.org' } }
  log.info({ profile, request: { headers: { authorization: 'Bearer x' }, body: 'Ada Quill' }, run: RUN }, 'x')
  log.error({ err: new Failure('internal', { cause: new Error('Ada Quill'), detail: 'Ada Quill' }) }, 'x')
  log.error({ err: new TypeError('Ada Quill lives at ada@example.org') }, 'x')
  expect(JSON.stringify(written)).not.toMatch(/Ada|ada@|Bearer/)
  expect(written).toMatchObject([
    { run: RUN },
    { err: { type: 'Failure', code: 'internal' } },
    { err: { type: 'TypeError' } },
  ])
})

it('every line about a request or a run has their IDs, a request one line at each hop, a stage one, and nothing of whom', async () => {
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env: { LOG_LEVEL: 'info' } })
  const read = async (name: 'relay' | 'server') =>
    (await readFile(stack.logs[name], 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  try {
    const { token } = await (await fetch(`${stack.relayUrl}/installs`, { method: 'POST' })).json()
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      traceparent: `00-${RUN}-0123456789abcdef-03`,
    }
    const posting = { source: 'json-ld', title: 'Secret title', company: 'Acmeous', location: '', description: 'Kafka' }
    const profile = { basics: { name: 'Ada Quillfeather', email: 'ada@example.org', phone: '+44 20 7946 0958' } }
    const body = JSON.stringify({ profile, posting })
    await (await fetch(`${stack.relayUrl}/generate`, { method: 'POST', body, headers })).text()
    await (await fetch(`${stack.relayUrl}/runs/${RUN}/events?secret=1`, { headers })).text()
    await (await fetch(`${stack.relayUrl}/runs/${RUN}/resume.pdf`, { headers })).arrayBuffer()
    await (await fetch(`${stack.relayUrl}/runs/${'f'.repeat(32)}/events`, { headers })).text()
    // Refused at the relay: no line, and none behind it.
    await (await fetch(`${stack.relayUrl}/runs/${RUN}/resume.pdf`)).text()
    await expect.poll(async () => (await read('server')).some(({ msg }) => msg === 'run ended')).toBe(true)
    const tex = '\\documentclass{article}\\begin{document}Acmeous\\end{document}'
    await (await fetch(`${stack.relayUrl}/compile`, { method: 'POST', body: tex, headers })).arrayBuffer()

    const answered = (all: Record<string, unknown>[]) =>
      all
        .filter(({ msg }) => msg === 'request answered')
        .map(({ method, route, status }) => `${method} ${route} ${status}`)
        .sort()
    const requests = [
      'GET /runs/{id}/events 200',
      'GET /runs/{id}/events 404',
      'GET /runs/{id}/resume.pdf 200',
      'POST /compile 200',
      'POST /generate 202',
    ]
    // A line is written when the answer is on its way, which the caller may have before.
    await expect.poll(async () => answered(await read('server'))).toEqual(requests)
    await expect.poll(async () => answered(await read('relay'))).toEqual(requests)
    const [relay, server] = [await read('relay'), await read('server')]
    const stages = server.filter(({ msg }) => msg === 'stage ended')
    expect(stages.map(({ stage, outcome }) => `${stage} ${outcome}`)).toEqual(
      ['llm', 'latex', 'compile', 'validate', 'compile'].map((stage) => `${stage} ok`),
    )
    expect(server.find(({ msg }) => msg === 'run ended')).toMatchObject({ run: RUN, outcome: 'done', attempt: 1 })
    const about = [...relay, ...server].filter(({ msg }) => /^(request answered|stage ended|run ended)$/.test(`${msg}`))
    for (const line of about) {
      expect(line).toMatchObject({
        trace_id: RUN,
        span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
        ms: expect.any(Number),
      })
    }
    // Support sees them with the run, both sides', in order.
    const staff = asSupport(stack.relayUrl)
    const inConsole = async () =>
      (await (await fetch(`${stack.relayUrl}/api/traces/${RUN}/log`, { headers: staff })).json()).lines as Line[]
    await expect.poll(async () => (await inConsole()).length).toBe(about.length)
    const lines = await inConsole()
    expect(lines.filter(({ message }) => message === 'stage ended').map(({ fields }) => fields.stage)).toEqual(
      stages.map(({ stage }) => stage),
    )
    expect(new Set(lines.map(({ service }) => service))).toEqual(new Set([SERVICE_RELAY, SERVICE_SERVER]))
    expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).toSorted((a, b) => a - b))
    const page = await (await fetch(`${stack.relayUrl}/support/${RUN}`, { headers: staff })).text()
    expect(page).toContain('run ended')
    // Both sides' lines about one request have the same ID.
    const ids = (all: typeof relay) =>
      new Set(all.filter(({ msg }) => msg === 'request answered').map(({ request_id }) => request_id))
    expect(ids(server)).toEqual(ids(relay))
    const everything = JSON.stringify([relay, server, lines, page])
    for (const secret of ['Quillfeather', 'ada@', '7946', 'Acmeous', 'Secret title', 'secret=', token]) {
      expect(everything).not.toContain(secret)
    }
  } finally {
    await stack.stop()
  }
})
