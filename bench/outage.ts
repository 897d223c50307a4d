/** A backend that is away, then asks for patience, then refuses one batch: what arrives, and what others notice of it. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Endpoint, openEndpoint } from '../fixtures/endpoint.ts'
import { startBackend, TAKEN } from '../fixtures/relay/backend.ts'
import { type RelayProcess, startRelay } from '../fixtures/relay/relay-process.ts'
import { newTraceId } from '../fixtures/relay/sent-spans.ts'
import { closeOnSignal } from '../ops/closing.ts'
import { freePort } from '../ops/free-port.ts'
import { openDeadLetters } from '../relay/forward/dead-letters.ts'
import { decode, type OtlpSpan, spansOf } from '../relay/otlp.ts'
import { isInRatio } from '../relay/store/marks.ts'
import type { Measured } from './bench.ts'
import { medianWithin, rounded } from './median.ts'
import { otlpPayload } from './otlp-payload.ts'
import { atMost, none } from './target.ts'

const SPANS_A_REQUEST = 64
const WARM_UP = 30
/** How long the relay waits for an answer that does not come: a setting, here short, so that it happens often. */
const TIMEOUT_MS = 2_000
/** Of so many requests the backend asks to be left alone for so long. */
const PATIENCE = { requests: 3, seconds: 2 }
/** From when the backend is there again: the breaker alone may take half a minute. */
const RECOVERY_MS = 90_000
/** More than 5 % would be noticed. */
const MAX_RATIO = 1.05

/**
 * The backend is away for `seconds`: in the first half nobody listens, in the second nobody answers. Beside that relay
 * there are two whose backend is well: one to compare with, and one to know how much two that are the same differ.
 */
export async function benchOutage(seconds: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-outage-'))
  const forget = closeOnSignal(() => rm(folder, { recursive: true, force: true }))
  const server = await startServer()
  const well = await startBackend(() => TAKEN)
  const port = await freePort()
  let backend: Awaited<ReturnType<typeof startBackend>> | undefined
  const start = async (name: string, endpoint: string) => {
    const store = join(folder, name, 'store')
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: String(TIMEOUT_MS) }
    const relay = await startRelay({ RELAY_STORE: store, SERVER_URL: server.url, ...env })
    return { ...relay, store, headers: await relay.asInstall() }
  }
  try {
    const down = await start('down', `http://127.0.0.1:${port}`)
    const sides = { up: await start('up', well.url), same: await start('same', well.url), down }
    const load = createLoad(sides)
    for (let round = 0; round < WARM_UP; round++) await load.round()
    load.forgetTimes()
    await load.during((seconds * 1_000) / 2)
    backend = await startBackend(() => ({ taken: false, answer: 'silence' }), port)
    await load.during((seconds * 1_000) / 2)
    const whileAway = await (await fetch(`${down.url}/readyz`)).json()

    const due = new Set(load.due.flat())
    const withDue = load.due.filter((spanIds) => spanIds.length > 0)
    const bad = new Set(withDue[Math.floor(withDue.length / 2)])
    if (bad.size === 0) throw new Error('Nothing became due: --runs is too short for a batch to refuse.')
    const recovery = createRecovery(bad)
    const began = performance.now()
    backend.treatAs(recovery.treat)
    const missing = await backend.missing(due.difference(bad), RECOVERY_MS)
    const recoveredS = (performance.now() - began) / 1_000
    for (const relay of Object.values(sides)) await relay.stop()
    const letters = lettersIn(down.store)
    const inLetters = new Set(letters.flatMap((letter) => letter.map(({ spanId }) => spanId)))
    const { repeated, taken } = backend.repeats()

    const ratios = load.ratios()
    return {
      results: {
        rounds: load.due.length,
        milliseconds: load.medians(),
        ratios,
        whileAway: whileAway.forward,
        recovery: { seconds: rounded(recoveredS), ...recovery.seen(), spans: due.size, taken, repeated },
        deadLetters: letters.length,
      },
      targets: [
        none('due spans missing at the backend after it has recovered', missing.size),
        none('spans of the refused batch that are no dead letter', bad.difference(inLetters).size),
        none('other spans that are a dead letter', inLetters.difference(bad).size),
        none('requests that came sooner than Retry-After had asked', recovery.seen().tooSoon),
        atMost('ingest with the backend away against ingest with it, median', ratios.ingest.down, MAX_RATIO),
        atMost('a proxied request with the backend away against one with it, median', ratios.proxied.down, MAX_RATIO),
      ],
    }
  } finally {
    process.stderr.write('\n')
    await backend?.close()
    await well.close()
    await server.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    forget()
  }
}

type Side = 'up' | 'same' | 'down'
const SIDES: Side[] = ['up', 'same', 'down']
type Relays = Record<Side, RelayProcess & { headers: Record<string, string> }>
const KINDS = ['ingest', 'proxied'] as const

/** The same requests to every relay, one after another; who comes first goes round. */
function createLoad(relays: Relays) {
  const noTimes = () => ({ up: [] as number[], same: [] as number[], down: [] as number[] })
  let times = { ingest: noTimes(), proxied: noTimes() }
  /** Span IDs that are due at the backend that is away, by request. */
  const due: string[][] = []

  async function round(): Promise<void> {
    const seed = due.length + 1
    const plain = otlpPayload(SPANS_A_REQUEST, 'protobuf', seed)
    const body = gzipSync(plain)
    for (let turn = 0; turn < SIDES.length; turn++) {
      const side = SIDES[(seed + turn) % SIDES.length] as Side
      const { send, url, headers } = relays[side]
      const began = performance.now()
      const status = await send(body, true)
      const sent = performance.now()
      const response = await fetch(`${url}/runs/${newTraceId()}/resume.pdf`, { headers })
      await response.arrayBuffer()
      times.proxied[side].push(performance.now() - sent)
      times.ingest[side].push(sent - began)
      if (status !== 200 || !response.ok) throw new Error(`The relay has answered ${status} and ${response.status}.`)
    }
    due.push(dueOf(plain))
  }

  return {
    due,
    round,
    forgetTimes: () => {
      times = { ingest: noTimes(), proxied: noTimes() }
    },
    async during(ms: number): Promise<void> {
      const end = performance.now() + ms
      while (performance.now() < end) {
        await round()
        process.stderr.write(`\r  ${due.length} rounds `)
      }
    },
    medians: () =>
      Object.fromEntries(
        KINDS.map((kind) => [kind, Object.fromEntries(SIDES.map((side) => [side, medianWithin(times[kind][side])]))]),
      ),
    /** Medians against that of the relay whose backend is well. */
    ratios: () => {
      const of = ({ up, same, down }: (typeof times)['ingest']) => {
        const against = medianWithin(up).median
        return {
          down: rounded(medianWithin(down).median / against),
          same: rounded(medianWithin(same).median / against),
        }
      }
      return { ingest: of(times.ingest), proxied: of(times.proxied) }
    },
  }
}

function dueOf(body: Uint8Array): string[] {
  const spans = [...spansOf(decode(body, 'protobuf'))]
  const failed = new Set(spans.filter(({ status }) => status?.code === 2).map(({ traceId }) => traceId))
  return spans.filter(({ traceId }) => failed.has(traceId) || isInRatio(traceId)).map(({ spanId }) => spanId)
}

/** First it asks for patience, then it refuses what has one of these spans in it, and takes everything else. */
function createRecovery(bad: ReadonlySet<string>) {
  let asked = 0
  let tooSoon = 0
  let refused = 0
  let notBefore = 0
  return {
    treat(_: number, spans: OtlpSpan[]) {
      if (performance.now() < notBefore) tooSoon += 1
      if (asked < PATIENCE.requests) {
        asked += 1
        notBefore = performance.now() + PATIENCE.seconds * 1_000
        return { taken: false, answer: { status: 429, headers: { 'retry-after': String(PATIENCE.seconds) } } }
      }
      if (!spans.some(({ spanId }) => bad.has(spanId))) return TAKEN
      refused += 1
      return { taken: false, answer: { status: 400 } }
    },
    seen: () => ({ askedForPatience: asked, tooSoon, refused }),
  }
}

function lettersIn(store: string): OtlpSpan[][] {
  const letters = openDeadLetters(store)
  try {
    return letters.list().map(({ id }) => [...spansOf(letters.show(id) ?? { resourceSpans: [] })])
  } finally {
    letters.close()
  }
}

/** Stands where the server is, and has a small PDF for everybody. */
function startServer(): Promise<Endpoint> {
  const pdf = Buffer.alloc(1_024)
  return openEndpoint((_, response) => {
    response.writeHead(200, { 'content-type': 'application/pdf', 'content-length': pdf.length }).end(pdf)
  })
}
