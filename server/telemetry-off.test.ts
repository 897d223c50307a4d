import { once } from 'node:events'
import { expect, it } from 'vitest'
import { newRunClient } from '../ops/run-client.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'

it('with OTEL_SDK_DISABLED a run is made all the same, under the ID that its caller gave it, and leaves no trace', async () => {
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env: { OTEL_SDK_DISABLED: 'true' } })
  try {
    const client = await newRunClient(stack.relayUrl)
    const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka' }
    const { id, events } = await client.run({ profile: { basics: { name: 'Ada Quill' } }, posting })
    expect(events.at(-1)).toMatchObject({ type: 'done' })
    expect(await client.pdfBytes(id)).toBeGreaterThan(1_000)
    // With its last words, if it had any.
    const ended = once(stack.server, 'exit')
    stack.server.kill('SIGTERM')
    await ended
    const lookUp = await fetch(`${stack.relayUrl}/api/traces/${id}`, { headers: asSupport(stack.relayUrl) })
    expect(lookUp.status).toBe(404)
  } finally {
    await stack.stop()
  }
})
