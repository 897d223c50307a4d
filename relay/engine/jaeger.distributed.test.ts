import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe } from 'vitest'
import {
  type GatewayProcess,
  type JaegerProcess,
  type SamplerProcess,
  startGateway,
  startJaeger,
  startSampler,
} from '../../fixtures/relay/engines.ts'
import { encode } from '../otlp.ts'
import { deadAddress, silent, TERMS } from '../sample-run.ts'
import { keepsTraces } from '../store/traces-duties.ts'
import { createCollector } from './collector.ts'
import { createEngine } from './engine.ts'
import { createJaeger } from './jaeger.ts'

const missing = (process.env.MISSING_ENGINES ?? '').split(',')
const DECISION_WAIT = '2s'
/** Long enough for what is about to come, short enough for what never does. */
const KEEP_WAIT_MS = 1_000

describe.skipIf(['Collector', 'Jaeger'].some((name) => missing.includes(name)))('Jaeger behind two Collectors', () => {
  let folder: string
  let store: JaegerProcess
  let archive: JaegerProcess
  let sampler: SamplerProcess
  let gateway: GatewayProcess

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pass-ats-jaeger-'))
    ;[store, archive] = await Promise.all([startJaeger(join(folder, 'store')), startJaeger(join(folder, 'archive'))])
    const to = { store: store.otlp, archive: archive.otlp, decisionWait: DECISION_WAIT }
    sampler = await startSampler(join(folder, 'sampler'), to)
    gateway = await startGateway(join(folder, 'gateway'), [sampler.address])
  })
  afterAll(async () => {
    for (const engine of [gateway, sampler, store, archive]) await engine?.stop('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  keepsTraces(async () => {
    const collectorAt = (url: string) =>
      createCollector(
        'it',
        { url: `${url}/v1/traces`, headers: {}, protocol: undefined, gzipped: true, timeoutMs: 10_000 },
        'c0ffee',
        silent,
      )
    const dead = collectorAt(await deadAddress())
    const toGateway = collectorAt(gateway.url)
    const toArchive = collectorAt(archive.otlp)
    let collector = toGateway
    let at = 0
    const now = () => Date.now() + at
    const engine = createEngine({
      collector: { ...toGateway, hand: (request) => collector.hand(request), check: () => collector.check() },
      store: createJaeger({ url: store.url, headers: {} }),
      archive: createJaeger({ url: archive.url, headers: {} }),
      copy: (data) =>
        toArchive.hand({ encoding: 'protobuf', body: gzipSync(encode(data, 'protobuf')), traces: new Uint8Array() }),
      terms: TERMS,
      log: silent,
      now,
      keepWaitMs: KEEP_WAIT_MS,
    })
    return {
      traces: engine,
      now,
      losesFlags: true,
      overwrites: true,
      async passWindow() {
        at += 120_000
        await engine.tend()
        await store.empty()
      },
      async breakDown() {
        collector = dead
      },
    }
  })
})
