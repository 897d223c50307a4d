import { gzipSync } from 'node:zlib'
import { describe, onTestFinished } from 'vitest'
import { startTempo } from '../../fixtures/relay/tempo.ts'
import { encode } from '../otlp.ts'
import { silent, TERMS } from '../sample-run.ts'
import { keepsTraces } from '../store/traces-duties.ts'
import { createCollector } from './collector.ts'
import { createEngine } from './engine.ts'
import { createTempo } from './tempo.ts'

const SOON_MS = 300

/** Where the Collector would send everything, and what is kept. */
describe('Tempo', () => {
  keepsTraces(async () => {
    const [store, archive] = await Promise.all([startTempo(), startTempo()])
    onTestFinished(async () => void (await Promise.all([store.close(), archive.close()])))
    const collectorOf = (url: string) =>
      createCollector(
        'it',
        { url: `${url}/v1/traces`, headers: {}, protocol: undefined, gzipped: true, timeoutMs: 5_000 },
        'c0ffee',
        silent,
      )
    let at = Date.now()
    const now = () => at
    const toArchive = collectorOf(archive.url)
    const engine = createEngine({
      collector: collectorOf(store.url),
      store: createTempo({ url: store.url, headers: {} }),
      archive: createTempo({ url: archive.url, headers: {} }),
      copy: (data) =>
        toArchive.hand({ encoding: 'protobuf', body: gzipSync(encode(data, 'protobuf')), traces: new Uint8Array() }),
      terms: TERMS,
      log: silent,
      now,
      keepWaitMs: SOON_MS,
    })
    return {
      traces: engine,
      now,
      async passWindow() {
        // By then a round has been made that finds what the sampler has not sent.
        at += 120_000
        await engine.tend()
        store.empty()
      },
      async breakDown() {
        store.setBroken(true)
      },
    }
  })
})
