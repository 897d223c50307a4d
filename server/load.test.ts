import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { runSequentially } from '../bench/runs.ts'
import { newTraceId } from '../fixtures/relay/sent-spans.ts'
import { newRunClient, Refused, type RunClient } from '../ops/run-client.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'

const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const RUNS = 50

const AGAIN_MS = 500

/** One run to its end. Where so many more have to be done that the relay gives up waiting for an answer, it is asked for again. */
async function endOf(client: RunClient, body: object) {
  const id = newTraceId()
  await insisted(() => client.post(body, id))
  const { events } = await insisted(() => client.follow(id))
  return { id, events: await events }
}

async function insisted<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== 'server_unreachable') throw error
      await delay(AGAIN_MS)
    }
  }
}

it('of fifty runs at once each gets its PDF, in the order in which they came, and the server stays small', async () => {
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/long.json', import.meta.url), 'utf8'))
  const env = { LOG_LEVEL: 'info', COMPILE_CONCURRENCY: '2' }
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env })
  try {
    const clients = await Promise.all(Array.from({ length: RUNS }, () => newRunClient(stack.relayUrl)))
    const ended = await Promise.all(clients.map((client) => endOf(client, { profile, posting })))
    expect(ended.filter(({ events }) => events.at(-1)?.type !== 'done')).toEqual([])
    expect(new Set(ended.map(({ id }) => id)).size).toBe(RUNS)
    await Promise.all(clients.map((client, n) => insisted(() => client.pdfBytes(ended[n]?.id ?? ''))))

    // Who waits is told how many are before them, and it never becomes more.
    const waits = ended.map(({ events }) => events.flatMap((event) => (event.type === 'queued' ? [event.ahead] : [])))
    expect(Math.max(...waits.flat())).toBeGreaterThan(RUNS / 2)
    for (const wait of waits) expect(wait).toEqual(wait.toSorted((a, b) => b - a))

    const lines = (await readFile(stack.logs.server, 'utf8')).split('\n').filter(Boolean)
    const logged = lines.map((line) => JSON.parse(line))
    const inLine = logged.filter(({ stage }) => stage === 'latex').map(({ run }) => run)
    const typeset = logged.filter(({ stage }) => stage === 'compile').map(({ run }) => run)
    expect(inLine).toHaveLength(RUNS)
    // Two at a time, of which the later may be the quicker.
    const overtaken = inLine.map((run, place) => Math.abs(typeset.indexOf(run) - place))
    expect(Math.max(...overtaken)).toBeLessThanOrEqual(2)

    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${stack.server.pid}/status`, 'utf8'))?.[1]
    expect(Number(peak) / 1_024).toBeLessThan(600)
  } finally {
    await stack.stop()
  }
})

it('runs one after another leave no process, file or handle behind', async () => {
  const { before, after } = await runSequentially(20, 5)
  expect(after).toMatchObject({ children: 0, jobs: 0 })
  expect(after.handles).toBeLessThanOrEqual(before.handles + 2)
})
