import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startAbsentEngine } from '../../fixtures/relay/absent-engine.ts'
import { SERVICE_RELAY } from '../../names.ts'
import { consoleOf } from '../console/sample-console.ts'
import { encode, type OtlpSpan, spansOf } from '../otlp.ts'
import { sampleRequest, sampleSpan, silent, TERMS, TRACE_ID } from '../sample-run.ts'
import { scan } from '../scan/scan.ts'
import { keepsTraces } from '../store/traces-duties.ts'
import { createCollector } from './collector.ts'
import { createEngine } from './engine.ts'
import { createJaeger } from './jaeger.ts'
import { createTempo } from './tempo.ts'

const READERS = { jaeger: createJaeger, tempo: createTempo }
/** Never longer than a test: what it waits for does not come. */
const KEEP_WAIT_MS = 200
/** After so long a round has been made that finds what the sampler has not sent. */
const ROUND_MS = 120_000

/** A relay's traces in two engines. All that a Collector would do here is to pass everything on to the store. */
async function engineOf(kind: keyof typeof READERS) {
  const [store, archive] = await Promise.all([startAbsentEngine(kind), startAbsentEngine(kind)])
  onTestFinished(async () => void (await Promise.all([store.close(), archive.close()])))
  const collectorAt = (url: string) => {
    const config = { url: `${url}/v1/traces`, headers: {}, protocol: undefined, gzipped: true, timeoutMs: 5_000 }
    return createCollector('it', config, 'c0ffee', silent)
  }
  const toArchive = collectorAt(archive.url)
  const clock = { at: Date.now() }
  const engine = createEngine({
    collector: collectorAt(store.url),
    store: READERS[kind]({ url: store.url, headers: {} }),
    archive: READERS[kind]({ url: archive.url, headers: {} }),
    copy: (data) =>
      toArchive.hand({ encoding: 'protobuf', body: gzipSync(encode(data, 'protobuf')), traces: new Uint8Array() }),
    terms: TERMS,
    log: silent,
    now: () => clock.at,
    keepWaitMs: KEEP_WAIT_MS,
  })
  return { engine, store, archive, clock }
}

describe.each(['jaeger', 'tempo'] as const)('Traces in %s', (kind) => {
  keepsTraces(async () => {
    const { engine, store, clock } = await engineOf(kind)
    return {
      traces: engine,
      now: () => clock.at,
      async passWindow() {
        clock.at += ROUND_MS
        await engine.tend()
        store.empty()
      },
      losesFlags: kind === 'jaeger',
      breakDown: async () => store.setBroken(true),
    }
  })

  test('A trace that is in store and archive in parts is put together, and one of them suffices when the other is away', async () => {
    const { engine, store, archive, clock } = await engineOf(kind)
    const span = (spanId: string, more: Partial<OtlpSpan> = {}) => recent(spanId, clock.at, more)
    await take(engine, span('00f067aa0ba902b7', { status: { code: 2 } }))
    clock.at += ROUND_MS
    await engine.tend()
    store.empty()
    await take(engine, span('00f067aa0ba902b8'))
    const ids = async () => [...spansOf(await engine.trace(TRACE_ID))].map(({ spanId }) => spanId).sort()
    await expect.poll(ids).toEqual(['00f067aa0ba902b7', '00f067aa0ba902b8'])
    store.setBroken(true)
    await expect.poll(ids).toEqual(['00f067aa0ba902b7'])
    archive.setBroken(true)
    await expect.poll(() => ids().catch((error) => error.name)).toBe('StoreUnavailable')
  })

  test('The console says what it cannot look up, and that it cannot when nothing answers', async () => {
    const { engine, store, archive, clock } = await engineOf(kind)
    await take(engine, recent('00f067aa0ba902b7', clock.at))
    const { page, get } = consoleOf(engine, { now: () => clock.at })
    const { document } = await page('/support')
    expect(document.body.textContent).toContain('the 200 newest runs')
    expect(document.querySelector('.runs code')?.textContent).toBe(TRACE_ID)
    expect((await page(`/support/${TRACE_ID}`)).response.status).toBe(200)
    for (const engine of [store, archive]) engine.setBroken(true)
    const { response, heading } = await page(`/support/${'a'.repeat(32)}`)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(heading).toBe('The runs cannot be read now')
    const answer = await get(`/api/traces/${'a'.repeat(32)}`)
    expect(answer.status).toBe(503)
    expect((await answer.json()).error.code).toBe('store_unavailable')
  })
})

function recent(spanId: string, now: number, span: Partial<OtlpSpan> = {}): OtlpSpan {
  const at = String(BigInt(now - 1_000) * 1_000_000n)
  return { ...sampleSpan(spanId, span), startTimeUnixNano: at, endTimeUnixNano: at }
}

async function take(traces: Awaited<ReturnType<typeof engineOf>>['engine'], ...spans: OtlpSpan[]): Promise<void> {
  const body = encode(sampleRequest(spans, SERVICE_RELAY), 'protobuf')
  await traces.append({ encoding: 'protobuf', body: gzipSync(body), traces: scan(body, 'protobuf').traces })
}
