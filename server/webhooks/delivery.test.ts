import { readFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { expect, it } from 'vitest'
import { openEndpoint } from '../../fixtures/endpoint.ts'
import { toolchainPath } from '../../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../../ops/stack.ts'
import { asSupport } from '../../ops/support.ts'
import { layOut } from '../../relay/console/waterfall.ts'

const RUN = '0123456789abcdef0123456789abcdef'
const WAITING = '00f067aa0ba902b7'
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

it('a message that a killed server was sending is sent by the next one, in a trace of its own that links to the run', async () => {
  const got: { headers: IncomingHttpHeaders; body: string }[] = []
  const second = Promise.withResolvers<void>()
  const first = Promise.withResolvers<void>()
  const endpoint = await openEndpoint(async (request, response) => {
    got.push({ headers: request.headers, body: Buffer.concat(await Array.fromAsync(request)).toString() })
    // The first is left without an answer.
    if (got.length === 1) return first.resolve()
    response.writeHead(200).end()
    second.resolve()
  })
  const url = `${endpoint.url}/hook?token=secret`
  const env = { WEBHOOK_URLS: url, WEBHOOK_SECRETS: SECRET, WEBHOOK_ALLOW_LOOPBACK: '1', LOG_LEVEL: 'info' }
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env })
  try {
    const { token } = await (await fetch(`${stack.relayUrl}/installs`, { method: 'POST' })).json()
    const posting = { source: 'json-ld', title: 'T', company: 'Acme', location: '', description: 'Kafka and Go' }
    const accepted = await fetch(`${stack.relayUrl}/generate`, {
      method: 'POST',
      body: JSON.stringify({ profile: { basics: { name: 'Ada Quill' } }, posting }),
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        traceparent: `00-${RUN}-0123456789abcdef-03`,
        tracestate: `passats=p:${WAITING}`,
        baggage: 'session.id=0b54ae0e-7f2c-4a6e-9f57-cb03c1a2e6d4',
      },
    })
    expect(accepted.status).toBe(202)
    await first.promise
    await stack.killServer()
    await stack.restartServer()
    await second.promise

    expect(got[1]?.headers['webhook-id']).toBe(got[0]?.headers['webhook-id'])
    for (const { headers, body } of got) {
      expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        data: { runId: RUN },
      })
      // Nothing of our traces and sessions is an endpoint's business.
      expect(Object.keys(headers)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(trace|baggage)/)]))
    }
    let line: { trace_id: string; span_id: string; outcome: string } | undefined
    await expect
      .poll(async () => {
        const lines = (await readFile(stack.logs.server, 'utf8')).split('\n')
        line = lines.filter((text) => text.includes('webhook sent')).map((text) => JSON.parse(text))[0]
        return line?.outcome
      })
      .toBe('taken')
    await expect
      .poll(
        async () =>
          (await fetch(`${stack.relayUrl}/api/traces/${line?.trace_id}`, { headers: asSupport(stack.relayUrl) }))
            .status,
      )
      .toBe(200)
    const trace = await (
      await fetch(`${stack.relayUrl}/api/traces/${line?.trace_id}`, { headers: asSupport(stack.relayUrl) })
    ).json()
    expect(layOut(trace).rows).toMatchObject([
      {
        name: 'webhook',
        kind: 'client',
        status: 'unset',
        spanId: line?.span_id,
        attributes: {
          'http.request.method': 'POST',
          'http.response.status_code': 200,
          'pass_ats.webhook.attempt': 1,
          'pass_ats.webhook.outcome': 'taken',
        },
      },
    ])
    const told = JSON.stringify(trace)
    expect(told).toContain(RUN)
    expect(told).toContain(WAITING)
    expect(told).not.toContain('token')
  } finally {
    await stack.stop()
    await endpoint.close()
  }
})
