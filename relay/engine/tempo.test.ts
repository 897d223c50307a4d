/** The adapter to Tempo, asked of answers that Tempo's own code has made (`fixtures/relay/tempo-answers.json` says how). */
import { describe, expect, it } from 'vitest'
import recorded from '../../fixtures/relay/tempo-answers.json' with { type: 'json' }
import { flat } from '../compared-spans.ts'
import type { TracesData } from '../otlp.ts'
import { listen, silent, TERMS } from '../sample-run.ts'
import { createEngine } from './engine.ts'
import { createTempo } from './tempo.ts'

const ID = '04f92f3577b34da6a3ce929d0e0e4736'

/** A Tempo that knows one answer, and what it was asked. */
async function tempoThat(body: Uint8Array | string, type: string, status = 200) {
  const asked: { path: string; accept: string | undefined }[] = []
  const url = await listen((request, response) => {
    asked.push({ path: request.url ?? '', accept: request.headers.accept })
    response.writeHead(status, { 'content-type': type }).end(body)
  })
  return { tempo: createTempo({ url, headers: {} }), asked }
}
const inProtobuf = (base64: string) => tempoThat(Buffer.from(base64, 'base64'), 'application/protobuf')

describe('What Tempo answers', () => {
  it('is the trace as it was sent, every field of it', async () => {
    const { tempo, asked } = await inProtobuf(recorded.whole)
    const data = await tempo.trace(ID)
    expect(flat(data ?? { resourceSpans: [] })).toEqual(flat(recorded.sent as TracesData))
    expect(data).not.toHaveProperty('partial')
    expect(asked).toEqual([{ path: `/api/v2/traces/${ID}`, accept: 'application/protobuf' }])
  })

  it('is told to be a part, where there is more than it gives out', async () => {
    const { tempo } = await inProtobuf(recorded.partial)
    expect(await tempo.trace(ID)).toMatchObject({ partial: true, resourceSpans: [{}, {}] })
    const { tempo: archive } = await inProtobuf(recorded.nothing)
    const collector = { hand: async () => {}, check: async () => {}, waiting: () => 0 }
    const engine = createEngine({ collector, store: tempo, archive, copy: async () => {}, terms: TERMS, log: silent })
    expect((await engine.trace(ID)).truncated).toBe(true)
  })

  it('is nothing where it has nothing, with 200 or with 404', async () => {
    expect(await (await inProtobuf(recorded.nothing)).tempo.trace(ID)).toBeUndefined()
    expect(await (await tempoThat('', 'text/plain', 404)).tempo.trace(ID)).toBeUndefined()
  })

  it('is no answer when it is cut off, or something else', async () => {
    const whole = Buffer.from(recorded.whole, 'base64')
    for (const body of [whole.subarray(0, whole.length - 9), Buffer.from('<html>no</html>')]) {
      const { tempo } = await tempoThat(body, 'application/protobuf')
      await expect(tempo.trace(ID)).rejects.toThrow()
    }
  })

  it('to a search is IDs without their first zeros, and times; the newest come first, and none from after', async () => {
    const { tempo, asked } = await tempoThat(recorded.search, 'application/json')
    const began = 1_767_225_600_000
    const find = (to: number) => tempo.search({ from: began - 5_000, to, limit: 20, only: 'failed' })
    expect(await find(began + 60_000)).toEqual([
      { traceId: 'af7651916cd43dd8448eb211c80319c0', startedAt: began + 1_000 },
      { traceId: ID, startedAt: began },
    ])
    expect(await find(began + 1_000)).toEqual([{ traceId: ID, startedAt: began }])
    const { searchParams } = new URL(asked[0]?.path ?? '', 'http://tempo')
    expect(Object.fromEntries(searchParams)).toEqual({
      q: '{ resource.service.name =~ "pass-ats-.+" && status = error }',
      ...{ start: '1767225595', end: '1767225660', limit: '20' },
    })
  })
})
