/** Where spans are kept: the relay's own files, or engines that many relays share. The only place that knows which. */

import { gzipSync } from 'node:zlib'
import { METRICS } from '../metric-names.ts'
import { gauge } from '../metrics.ts'
import type { Config } from './config.ts'
import { createCollector, MAX_WAITING } from './engine/collector.ts'
import { createEngine } from './engine/engine.ts'
import { createJaeger } from './engine/jaeger.ts'
import { createOwnSpans } from './engine/own-spans.ts'
import type { EngineSettings } from './engine/settings.ts'
import { createTempo } from './engine/tempo.ts'
import { type ForwardState, startForwarder } from './forward/forward.ts'
import type { Log } from './log.ts'
import { encode } from './otlp.ts'
import { openStore, type StoreNotice } from './store/store.ts'
import type { Traces } from './store/traces.ts'

const queueDepth = gauge(METRICS.relayQueue)
const queueCapacity = gauge(METRICS.relayQueueCapacity)

const READERS = { jaeger: createJaeger, tempo: createTempo }
/** An archive that is busy for so long is tried again with the next round. */
const COPY_TIMEOUT_MS = 10_000

export interface TraceStore {
  traces: Traces
  /** Where the relay's own spans go. */
  own: Pick<Traces, 'append'>
  /** Undefined when nothing is forwarded from here. */
  forwarder: { wake(): void; state(): ForwardState } | undefined
  /** To be called every few seconds. */
  tend(): Promise<void>
  /** Sends what it can within `graceMs`, and closes everything. */
  close(graceMs: number): Promise<void>
}

/** What the store in files does by itself, in the log: an error is what should not have happened. */
const NOTICES: { [kind in StoreNotice['kind']]: string } = {
  damaged: 'a file of the store is damaged, or cannot be read, and is left out',
  gone: 'an hour of the store is gone',
  evicted: 'kept traces went before their time, for want of room',
  uncopied: 'part of a kept trace is not copied',
}
function levelOf(notice: StoreNotice): 'info' | 'warn' | 'error' {
  if (notice.kind !== 'gone') return 'error'
  if (notice.unforwardedSpans + notice.unkeptTraces > 0) return 'error'
  return notice.why === 'room' ? 'warn' : 'info'
}

/** Opens what the settings say. `instanceId` is what this relay sends along. Throws as {@link openStore} does. */
export function openTraceStore(config: Config, instanceId: string, log: Log): TraceStore {
  return config.engine ? engines(config, config.engine, instanceId, log) : files(config, instanceId, log)
}

function files({ storePath, terms, forward }: Config, instanceId: string, log: Log): TraceStore {
  const onNotice = (notice: StoreNotice) => log[levelOf(notice)](notice, NOTICES[notice.kind])
  const store = openStore(storePath, terms, { onNotice, destination: forward?.url })
  const forwarder = forward && startForwarder(store, { ...forward, instanceId }, log)
  return {
    ...{ traces: store, own: store, forwarder },
    tend: store.tend,
    async close(graceMs) {
      await forwarder?.stop(graceMs)
      await store.close()
    },
  }
}

function engines({ terms, forward }: Config, settings: EngineSettings, instanceId: string, log: Log): TraceStore {
  if (!forward) throw new Error('Engines need a Collector.')
  const { kind, store, archive, archiveOtlp } = settings
  const collector = createCollector('the Collector', forward, instanceId, log)
  queueCapacity.set({}, MAX_WAITING)
  queueDepth.whenAsked(() => queueDepth.set({}, collector.waiting()))
  const toArchive = createCollector(
    'the archive',
    { url: archiveOtlp, headers: archive.headers, protocol: 'protobuf', gzipped: true, timeoutMs: COPY_TIMEOUT_MS },
    instanceId,
    log,
  )
  const traces = createEngine({
    ...{ collector, terms, log },
    store: READERS[kind](store),
    archive: READERS[kind](archive),
    copy: (data) =>
      toArchive.hand({ encoding: 'protobuf', body: gzipSync(encode(data, 'protobuf')), traces: new Uint8Array() }),
  })
  const own = createOwnSpans(collector.hand)
  return { traces, own, forwarder: undefined, tend: traces.tend, close: own.drain }
}
