import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { PLACES, startMortalStack } from '../ops/mortal-stack.ts'
import { newRunClient } from '../ops/run-client.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { RunEvent } from './contract.ts'

const RUN = '0123456789abcdef0123456789abcdef'
const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

interface Numbered {
  id: number
  event: RunEvent
}

/** What came until the stream ended, or was cut. */
async function readEvents(response: Response): Promise<Numbered[]> {
  let text = ''
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
  } catch {
    // What came before stands.
  }
  return text.split('\n\n').flatMap((block) => {
    const [, id] = /^id: (\d+)$/m.exec(block) ?? []
    const [, data] = /^data: (.*)$/m.exec(block) ?? []
    return id && data ? [{ id: Number(id), event: RunEvent.parse(JSON.parse(data)) }] : []
  })
}

it.each(PLACES)(
  'a run whose server is killed at %s, and started anew, ends in its PDF, for its owner alone',
  async (place) => {
    const stack = await startMortalStack(place)
    const install = async () => {
      const { token } = await (await fetch(`${stack.relayUrl}/installs`, { method: 'POST' })).json()
      return { authorization: `Bearer ${token}` }
    }
    const owner = await install()
    /** As the extension asks: again after a while, as long as nobody is there. */
    const ask = async (path: string, init: RequestInit = {}, headers = owner): Promise<Response> => {
      const response = await fetch(stack.relayUrl + path, { ...init, headers: { ...headers, ...init.headers } })
      if (response.status !== 502) return response
      await response.body?.cancel()
      await pause(200)
      return ask(path, init, headers)
    }
    const post = async () =>
      (
        await ask('/generate', {
          method: 'POST',
          body: JSON.stringify({ profile, posting }),
          headers: { 'content-type': 'application/json', traceparent: `00-${RUN}-0123456789abcdef-03` },
        })
      ).status
    const seen: Numbered[] = []
    try {
      expect(await post()).toBe(202)
      const follow = async (): Promise<RunEvent | undefined> => {
        const headers = { 'last-event-id': String(seen.at(-1)?.id ?? 0) }
        seen.push(...(await readEvents(await ask(`/runs/${RUN}/events`, { headers }))))
        const last = seen.at(-1)?.event
        return last?.type === 'done' || last?.type === 'failed' ? last : follow()
      }
      const first = await follow()
      if (place === 'resume.pdf') expect(first).toMatchObject({ type: 'done' })
      else {
        expect(first).toMatchObject({ type: 'failed', failure: { code: 'interrupted' } })
        expect(await post()).toBe(202)
        expect(await follow()).toMatchObject({ type: 'done' })
      }
      expect(await post(), 'what is done is done once').toBe(200)
      expect(
        seen.map(({ id }) => id),
        'ids only go up',
      ).toEqual(seen.map(({ id }) => id).toSorted((a, b) => a - b))
      const pdf = await ask(`/runs/${RUN}/resume.pdf`).catch(() => ask(`/runs/${RUN}/resume.pdf`))
      expect(Buffer.from(await pdf.arrayBuffer()).toString('latin1', 0, 5)).toBe('%PDF-')
      await stack.died
      const stranger = await install()
      for (const path of ['events', 'resume.pdf']) {
        expect((await ask(`/runs/${RUN}/${path}`, {}, stranger)).status).toBe(404)
      }
    } finally {
      await stack.stop()
    }
  },
)

it('a server that is told to stop ends what is under way, leaves no half of it, and the next one makes it', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-stop-'))
  const endpoint = await startOpenAiEndpoint('held')
  const distDir = join(temporary, 'dist')
  const env = { TMPDIR: temporary, LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' }
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), distDir, env })
  try {
    const client = await newRunClient(stack.relayUrl)
    const id = await client.post({ profile, posting })
    const { events } = await client.follow(id)
    await endpoint.asked
    const exited = once(stack.server, 'exit')
    stack.server.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    expect((await events).at(-1)).toMatchObject({ failure: { code: 'interrupted' } })
    await endpoint.left
    expect(await readdir(distDir)).toEqual(['server.sqlite'])
    await stack.restartServer()
    endpoint.release()
    await client.post({ profile, posting }, id)
    // The end of the first attempt is not told again.
    const again = await (await client.follow(id)).events
    expect(again.map(({ type }) => type)).not.toContain('failed')
    expect(await client.pdfBytes(id)).toBeGreaterThan(1_000)
    expect((await readdir(temporary)).filter((name) => name.startsWith('pass-ats-compile-'))).toEqual([])
  } finally {
    await stack.stop()
    await endpoint.close()
    await rm(temporary, { recursive: true })
  }
})
