import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GatewayProcess, type SamplerProcess, startGateway, startSampler } from '../../fixtures/relay/engines.ts'
import { startTurnstile } from '../../fixtures/relay/turnstile.ts'
import { SERVICE_RELAY } from '../../names.ts'
import { encode, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'
import { sampleRequest, sampleSpan } from '../sample-run.ts'
import { isInRatio } from '../store/marks.ts'

const missing = (process.env.MISSING_ENGINES ?? '').split(',')
const TRACES = 100_000
const BATCH = 1_000
/** On both sides of the threshold, whatever stands before and behind. */
const EDGES = [
  'fd70a3ffffffff',
  'fd70a400000000',
  'fd70a400000001',
  'fd709fffffffff',
  '00000000000000',
  'ffffffffffffff',
]

const spanOf = (traceId: string, span: Partial<OtlpSpan> = {}) => ({ ...sampleSpan('00f067aa0ba902b7', span), traceId })
const idsIn = (data: TracesData) => new Set([...spansOf(data)].map(({ traceId }) => traceId))

describe.skipIf(missing.includes('Collector'))('The Collector’s one in a hundred', () => {
  let folder: string
  let store: Awaited<ReturnType<typeof startTurnstile>>
  let archive: typeof store
  let sampler: SamplerProcess
  let gateway: GatewayProcess

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pass-ats-ratio-'))
    store = await startTurnstile({})
    archive = await startTurnstile({})
    sampler = await startSampler(join(folder, 'sampler'), {
      store: store.url,
      archive: archive.url,
      decisionWait: '1s',
    })
    gateway = await startGateway(join(folder, 'gateway'), [sampler.address])
  })
  afterAll(async () => {
    for (const one of [gateway, sampler]) await one?.stop('SIGKILL')
    for (const one of [store, archive]) await one?.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function send(spans: OtlpSpan[]): Promise<void> {
    const response = await fetch(`${gateway.url}/v1/traces`, {
      method: 'POST',
      body: new Uint8Array(encode(sampleRequest(spans, SERVICE_RELAY), 'protobuf')),
      headers: { 'content-type': 'application/x-protobuf' },
    })
    expect(response.status).toBe(200)
    await response.arrayBuffer()
  }

  test(`is ours: ${TRACES.toLocaleString('en')} random trace IDs and those at the edge, no disagreement`, async () => {
    // Of a UUID the last 56 bits are random.
    const random = Array.from({ length: TRACES }, () => crypto.randomUUID().replaceAll('-', ''))
    const ids = [...random, ...EDGES.map((edge) => `0af7651916cd43dda7${edge}`)]
    for (let at = 0; at < ids.length; at += BATCH) await send(ids.slice(at, at + BATCH).map((id) => spanOf(id)))
    await store.until((taken) => idsIn(taken).size === new Set(ids).size)
    const ours = new Set(ids.filter(isInRatio))
    await archive.until((taken) => idsIn(taken).size >= ours.size)
    // Decided after all others, and kept for sure: what else was to come has come before it.
    const last = 'ffffffffffffffff0000000000000001'
    await send([spanOf(last, { status: { code: 2 } })])
    await archive.until((taken) => idsIn(taken).has(last))
    const theirs = idsIn(archive.taken)
    theirs.delete(last)
    const disagreements = [...ours.symmetricDifference(theirs)]
    expect(disagreements).toEqual([])
    expect(ours.size).toBeGreaterThan(TRACES / 200)
  })

  test('does not keep it from keeping what failed or was reported', async () => {
    const [failed, reported, neither] = ['1', '2', '3'].map((digit) => digit.repeat(32)) as [string, string, string]
    const keep = { key: 'pass_ats.sampling.keep', value: { boolValue: true } }
    await send([
      spanOf(failed),
      { ...spanOf(failed, { status: { code: 2 } }), spanId: '00f067aa0ba902b8' },
      spanOf(neither),
      spanOf(reported, { attributes: [keep] }),
    ])
    await archive.until((taken) => [failed, reported].every((id) => idsIn(taken).has(id)))
    const spans = [...spansOf(archive.taken)].filter(({ traceId }) => traceId === failed)
    expect(spans.map(({ spanId }) => spanId).sort()).toEqual(['00f067aa0ba902b7', '00f067aa0ba902b8'])
    expect(idsIn(archive.taken).has(neither)).toBe(false)
  })
})
