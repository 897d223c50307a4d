import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { getRequestListener } from '@hono/node-server'
import { expect, test } from 'vitest'
import { ATTR_FAILURE_CODE, ATTR_STAGE, SERVICE_SERVER, SPAN_RUN } from '../names.ts'
import { createApp } from '../relay/app.ts'
import { take } from '../relay/console/sample-console.ts'
import * as sample from '../relay/sample-run.ts'

const ROOT = '00000000000000a0'
const failed = { status: { code: 2 }, attributes: [sample.text(ATTR_FAILURE_CODE, 'tectonic_crash')] }

/** A relay that has a failed run, and the command against it. */
async function relayWithRun() {
  const store = sample.temporaryStore()
  const app = createApp(sample.sampleParts(store))
  const compile = { ...failed, attributes: [...failed.attributes, sample.text(ATTR_STAGE, 'compile')] }
  const neighbour = { traceId: `${sample.TRACE_ID.slice(0, 31)}7` }
  await take(
    store,
    sample.sampleRequest([sample.sampleSpan(ROOT, { name: SPAN_RUN, durationMs: 3_400, ...failed })]),
    sample.sampleRequest(
      [sample.sampleSpan('00000000000000b0', { parentSpanId: ROOT, name: '\u001b[2Jcompile', ...compile })],
      SERVICE_SERVER,
    ),
    sample.sampleRequest([sample.sampleSpan(ROOT, neighbour)]),
  )
  const url = await sample.listen(getRequestListener(app.fetch))
  return (args: string[], env: Record<string, string> = {}) =>
    traceCommand(args, { RELAY_URL: url, ...sample.STAFF_ENV, ...env })
}

async function traceCommand(args: string[], env: Record<string, string>) {
  const child = spawn(process.execPath, ['ops/trace.ts', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: Number((await exited)[0]), stdout, stderr }
}

test('The terminal says what the console says: the sentence, whom to wake, what to tell, and the waterfall', async () => {
  const trace = await relayWithRun()
  const { code, stdout } = await trace([sample.TRACE_ID])
  expect(code).toBe(1)
  for (const said of [
    'Failed at “compile”: the program that makes the PDF stopped unexpectedly.',
    'Code      tectonic_crash',
    'Wake      Wake the engineer on call if it happens to several people',
    'Tell      Thank you for the ID.',
    'generate resume',
    '✗ tectonic_crash',
  ]) {
    expect(stdout).toContain(said)
  }
  expect(stdout, 'nothing of a span moves the cursor').not.toContain('\u001b')
})

test('What it cannot answer, it says with what to do next', async () => {
  const trace = await relayWithRun()
  const none = await trace([])
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('npm run trace -- 4bf92f35')])
  const short = await trace(['4bf9'])
  expect([short.code, short.stderr]).toEqual([2, expect.stringContaining('at least the first 8')])
  const several = await trace([sample.TRACE_ID.slice(0, 8)])
  expect([several.code, several.stderr]).toEqual([1, expect.stringContaining(`npm run trace -- ${sample.TRACE_ID}`)])
  const unknown = await trace(['ffffffff'])
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('No run with this ID')])
  const stranger = await trace([sample.TRACE_ID], { RELAY_SUPPORT_TOKENS: `eve:${'x'.repeat(32)}` })
  expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('Sign in')])
  const nobody = await trace([sample.TRACE_ID], { RELAY_URL: await sample.deadAddress() })
  expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('npm start')])
})
