/** What can happen to the store of a relay, and to the way from there on: a real relay, with next to no room. */

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pass } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { scrape, sumOf } from '../../../fixtures/metrics/scraped.ts'
import { METRICS } from '../../../metric-names.ts'
import { SPAN_EXTRACT } from '../../../names.ts'
import { encode, type OtlpSpan } from '../../../relay/otlp.ts'
import { closeOnSignal } from '../../closing.ts'
import { freePort } from '../../free-port.ts'
import { onPath } from '../../setup/program.ts'
import { type Stack, startStack } from '../../stack.ts'
import { over, traceId } from './caller.ts'
import { type Cause, target, until } from './cause.ts'
import { startReceiver } from './receiver.ts'

/** The least that a relay can be given. */
const STORE_BYTES = 64 * 1024 ** 2
/** Between where the alert begins and where the oldest hour goes. */
const NEARLY_FULL = 0.96
/** More than 100, from which on it counts as behind. */
const BEHIND = 150
/** Less than the 1,000 that may wait, more than four fifths of them. */
const SENDERS = 950
/** Longer than the two minutes in which a queue is full for nothing, where a minute is a second. */
const SYNC_SECONDS = 8
const DAMAGE_BYTES = 4_096
const BETWEEN_MS = 200

/** Everything that is to be closed goes into `closing`, to be closed backwards. */
export async function storeCauses(closing: (() => unknown)[]) {
  const backend = await startReceiver(closing)
  const dataDir = mkdtempSync(join(tmpdir(), 'pass-ats-store-'))
  // Not one that goes into the ledger of traces: what is in it is invented, and there is a lot of it.
  const stack = await startStack({
    ...{ dataDir, distDir: join(dataDir, 'dist'), toolchainPath: '', relayPort: 0, serverPort: 0 },
    afterwards: async () => rmSync(dataDir, { recursive: true, force: true }),
    env: {
      RELAY_STORE_MAX_BYTES: String(STORE_BYTES),
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: backend.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
      // Known, because what is started anew in the relay's place is to be found there.
      RELAY_METRICS_PORT: String(await freePort()),
      SERVER_METRICS_PORT: '0',
    },
  })
  closing.push(() => stack.stop())
  const folder = join(dataDir, 'relay')
  const send = senderTo(stack)
  const large = manySpans()
  const failed = () => send(gzipSync(encode(spansOf([{ ...newSpan(traceId()), status: { code: 2 } }]), 'protobuf')))

  async function isNearlyFull(): Promise<boolean> {
    const samples = await scrape(stack.metricsUrls.relay)
    return sumOf(samples, METRICS.relayStoreBytes.name) / sumOf(samples, METRICS.relayStoreCapacity.name) > NEARLY_FULL
  }

  const causes: Cause[] = [
    {
      what: 'a tracing backend that never answers',
      alerts: [['ForwardingFallsBehind']],
      async provoke(signal) {
        backend.answer('never')
        for (let sent = 0; sent < BEHIND; sent += 1) await failed()
        await until(signal)
      },
    },
    {
      what: 'spans that a store has just room for',
      alerts: [['StoreNearlyFull']],
      provoke: (signal) => over(signal, 1, async () => ((await isNearlyFull()) ? pass(BETWEEN_MS) : send(large))),
    },
    {
      what: 'more spans than a store has room for, and no backend',
      alerts: [
        ['StoreLetsGoEarly', { kind: 'early_hour' }],
        ['StoreLosesTraces', { kind: 'unforwarded_span' }],
        ['SpansLost', { reason: 'no_room' }],
      ],
      async provoke(signal) {
        backend.answer('never')
        await failed()
        await over(signal, 1, () => send(large))
      },
      repair: () => backend.answer('well'),
    },
    {
      what: 'a file of the store that is damaged',
      alerts: [['StoreLosesTraces', { kind: 'damaged_file' }]],
      async provoke() {
        await stack.killRelay()
        damage(newestHour(folder))
        await stack.restartRelay()
      },
    },
    {
      what: 'a file of the store that somebody holds',
      alerts: [['SpansLost', { reason: 'store_unavailable' }]],
      async provoke(signal) {
        await failed()
        const file = new DatabaseSync(newestHour(folder))
        // As a backup does, or the command for dead letters, that has got stuck.
        file.exec('BEGIN IMMEDIATE')
        await over(signal, 1, failed)
        file.close()
      },
    },
    {
      what: `a disk that takes ${SYNC_SECONDS} s to write`,
      alerts: [['RelayDiskIsSlow']],
      impossible: noTracer,
      async provoke(signal) {
        const disk = await slowDown(stack.relay)
        await Promise.all([over(signal, SENDERS, failed), until(signal).then(disk.recovers)])
      },
    },
  ]
  const targets = [
    target('pass-ats-relay-3', stack.metricsUrls.relay),
    target('pass-ats-server-3', stack.metricsUrls.server),
  ]
  return { targets, causes }
}

function senderTo({ relayUrl, serviceKey }: Stack) {
  const headers = {
    authorization: `Bearer ${serviceKey}`,
    'content-type': 'application/x-protobuf',
    'content-encoding': 'gzip',
  }
  return async (body: Uint8Array<ArrayBuffer>) => {
    await (await fetch(`${relayUrl}/v1/traces`, { method: 'POST', headers, body })).bytes()
  }
}

const START_NS = BigInt(Date.now()) * 1_000_000n
const newSpan = (traceId: string): OtlpSpan => ({
  traceId,
  spanId: randomBytes(8).toString('hex'),
  parentSpanId: randomBytes(8).toString('hex'),
  name: SPAN_EXTRACT,
  kind: 1,
  startTimeUnixNano: String(START_NS),
  endTimeUnixNano: String(START_NS + 1_000_000n),
})
const spansOf = (spans: OtlpSpan[]) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] })

/** As many as a small request has, of one trace that works: half a megabyte that does not get smaller. */
function manySpans() {
  const id = traceId()
  return gzipSync(encode(spansOf(Array.from({ length: 12_000 }, () => newSpan(id))), 'protobuf'), { level: 1 })
}

function newestHour(folder: string): string {
  const hours = readdirSync(folder).filter((name) => /^\d+-.*\.sqlite$/.test(name))
  return join(folder, hours.sort().at(-1) ?? '')
}

/** Its first page, which says what the others are, becomes noise, and so does the log, which may have that page anew. */
function damage(path: string): void {
  for (const each of [path, `${path}-wal`].filter((name) => existsSync(name))) {
    const file = openSync(each, 'r+')
    writeSync(file, randomBytes(DAMAGE_BYTES), 0, DAMAGE_BYTES, 0)
    closeSync(file)
  }
}

/** What holds up a system call of a thread. Nothing else does without the right to have a slow disk. */
async function noTracer(): Promise<string | undefined> {
  return (await onPath('strace')) ? undefined : 'there is no strace here, which would hold up the writing thread'
}

/** From now on its threads wait for the disk for {@link SYNC_SECONDS}, each time. Throws an Error when that may not be. */
async function slowDown({ pid }: ChildProcess) {
  const tasks = `/proc/${pid}/task`
  const workers = readdirSync(tasks).filter(
    (task) => readFileSync(`${tasks}/${task}/comm`, 'utf8') === 'WorkerThread\n',
  )
  const child = spawn(
    'strace',
    [
      ...workers.flatMap((task) => ['-p', task]),
      ...['-e', 'trace=fsync,fdatasync', '-e', `inject=fsync,fdatasync:delay_enter=${SYNC_SECONDS * 1_000_000}`],
      ...['-o', '/dev/null'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const gone = once(child, 'exit')
  const recovers = async () => {
    forget()
    child.kill('SIGTERM')
    await gone
  }
  const forget = closeOnSignal(recovers)
  let attached = 0
  for await (const line of createInterface(child.stderr)) {
    if (/ attached$/.test(line)) attached += 1
    if (attached === workers.length) return { recovers }
  }
  forget()
  throw new Error('strace may not look at the relay here.')
}
