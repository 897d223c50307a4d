/**
 * Faults by runs in flight: what became of each run, of its trace, and of what the relay had answered for; and how long
 * it took until everything worked again, without anybody's help.
 */

import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createSentSpans, newTraceId } from '../fixtures/relay/sent-spans.ts'
import { ATTR_ERROR_TYPE, SPAN_RUN } from '../names.ts'
import { report } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { newRunClient } from '../ops/run-client.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain } from '../ops/setup/toolchain.ts'
import { asSupport } from '../ops/support.ts'
import { survivedRun } from '../ops/survivor.ts'
import { layOut } from '../relay/console/waterfall.ts'
import { CONTENT_TYPES, type OtlpSpan, spansOf, type TracesData } from '../relay/otlp.ts'
import { FAILURES } from '../server/contract.ts'
import type { Measured } from './bench.ts'
import { CHAOS, type Chaos } from './chaos-faults.ts'
import { type Ground, startGround } from './chaos-ground.ts'
import { insist } from './person.ts'
import { pressGenerate } from './press-generate.ts'
import { none } from './target.ts'

/** While the model writes, which is held until the fault has come; or anywhere, which is by chance. */
const MOMENTS = ['the model writes', 'anywhere'] as const
type Moment = (typeof MOMENTS)[number]

const PEOPLE = 2
const RUN_MS = 600
const FAULT_MS = 4_000
/** From when the model may go on: within the fault. */
const RELEASED_AFTER_MS = 500
const PATIENCE_MS = 60_000
const RECOVERY_MS = 90_000
const TRACE_MS = 20_000
const SEND_EVERY_MS = 25
const FAILED_SPANS = 0.05

interface Row {
  fault: string
  moment: Moment
  /** The one in the browser first. */
  runs: string[]
  trace: 'whole' | string
  spans: { acknowledged: number; lost: number; told: boolean }
  /** Of PDFs that people were told of. */
  pdfsLost: number
  /** From the end of the fault to the next PDF that somebody asked for; undefined for never. */
  recoveryMs: number | undefined
}

/** Each fault `runs` times, at every moment in turn. */
export async function benchChaos(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const ground = await startGround(await findChromium(progress))
  const rows: Row[] = []
  /** Spans that must have come out at the backend in the end. */
  const due = new Set<string>()
  const notMade: Record<string, string> = {}
  try {
    for (const chaos of CHAOS) {
      const why = chaos.impossible?.(ground)
      if (why) {
        notMade[chaos.name] = why
        continue
      }
      for (let run = 0; run < runs; run++) {
        const row = await suffer(ground, chaos, MOMENTS[run % MOMENTS.length] as Moment, due)
        rows.push(row)
        process.stderr.write(`${lineOf(row)}\n`)
      }
    }
    return measuredFrom(rows, notMade, (await ground.backend.missing(due, RECOVERY_MS)).size)
  } finally {
    await ground.stop()
  }
}

/** One fault in the middle of several runs. */
async function suffer(ground: Ground, chaos: Chaos, moment: Moment, due: Set<string>): Promise<Row> {
  const { model } = ground
  const sender = startSender(ground)
  const asked = model.requests.length
  if (moment === 'the model writes') model.hold()
  const pressed = await pressGenerate(ground.browser, 'lever.html')
  const clients = await Promise.all(
    Array.from({ length: PEOPLE }, () => newRunClient(ground.wires['browser to relay'].url)),
  )
  const people = clients.map((client) => insist(client, bodyOf(ground), PATIENCE_MS))
  if (moment === 'anywhere') await delay(Math.random() * RUN_MS)
  else while (model.requests.length === asked) await delay(10)

  await chaos.begin(ground)
  await delay(RELEASED_AFTER_MS)
  if (model.behaviour === 'held') model.behaviour = 'ok'
  model.release()
  await delay(FAULT_MS - RELEASED_AFTER_MS)
  await chaos.end(ground)
  const recoveryMs = await untilWell(ground)

  const run = await survivedRun(ground.browser, pressed.id).catch(() => undefined)
  const fates = await Promise.all(people)
  await pressed.leave()
  const spans = await sender.stop()
  const told = readdirSync(ground.folders.store).some((name) => name.endsWith('.corrupt'))
  if (!chaos.destroys) for (const spanId of spans.due) due.add(spanId)
  const kept = await Promise.all(
    fates.map(async ({ id, fate }, index) => fate !== 'done' || (await clients[index]?.pdfBytes(id).catch(() => 0))),
  )
  return {
    fault: chaos.name,
    moment,
    runs: [run?.failure?.code ?? run?.status ?? 'stuck', ...fates.map(({ fate }) => fate)],
    trace: await traceOf(ground, pressed.id, run?.failure?.code ?? run?.status),
    spans: { acknowledged: spans.acknowledged, lost: spans.lost, told: chaos.destroys === true && told },
    pdfsLost: kept.filter((isThere) => !isThere).length,
    recoveryMs,
  }
}

function bodyOf({ profile }: Ground): object {
  return {
    profile,
    posting: { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' },
  }
}

/** Until the next PDF that somebody asks for, in vain before. */
async function untilWell(ground: Ground): Promise<number | undefined> {
  const since = performance.now()
  while (performance.now() - since < RECOVERY_MS) {
    const client = await newRunClient(ground.wires['browser to relay'].url).catch(() => undefined)
    if (client && (await insist(client, bodyOf(ground), 0)).fate === 'done')
      return Math.round(performance.now() - since)
    await delay(250)
  }
  return undefined
}

/** Sends spans until it is stopped, and then looks whether what the relay has answered for is there. */
function startSender({ stack }: Ground) {
  const spans = createSentSpans()
  const stopping = new AbortController()
  const headers = { authorization: `Bearer ${stack.serviceKey}`, 'content-type': CONTENT_TYPES.protobuf }
  const relay = {
    send: async (body: Uint8Array) => {
      try {
        const request = { method: 'POST', body: new Uint8Array(body), headers, signal: AbortSignal.timeout(5_000) }
        const response = await fetch(`${stack.relayUrl}/v1/traces`, request)
        await response.arrayBuffer()
        return response.status
      } catch {
        return undefined
      }
    },
  }
  const ended = (async () => {
    while (!stopping.signal.aborted) {
      await spans.send(relay, [{ traceId: newTraceId(), failed: Math.random() < FAILED_SPANS }])
      await delay(SEND_EVERY_MS)
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await ended
      const missing = await spans.missingFrom((traceId) => spansAt(stack.relayUrl, traceId))
      return { acknowledged: spans.acknowledged.length, lost: missing.length, due: spans.due() }
    },
  }
}

async function spansAt(relayUrl: string, traceId: string): Promise<OtlpSpan[]> {
  const response = await fetch(`${relayUrl}/api/traces/${traceId}`, { headers: asSupport(relayUrl) })
  const data = (await response.json()) as Partial<TracesData>
  return [...spansOf({ resourceSpans: data.resourceSpans ?? [] })]
}

/** Whether it is there, once, in one piece, and says of the run what the person was told; or what is wrong with it. */
async function traceOf({ stack, browser }: Ground, id: string, fate: string | undefined): Promise<Row['trace']> {
  await report(browser, id)
  const deadline = Date.now() + TRACE_MS
  for (;;) {
    const spans = await spansAt(stack.relayUrl, id)
    const wrong = wrongWith(spans, fate)
    if (wrong === undefined) return 'whole'
    if (Date.now() > deadline) return wrong
    await delay(250)
  }
}

function wrongWith(spans: OtlpSpan[], fate: string | undefined): string | undefined {
  const { root, rows, missingParents } = layOut({ resourceSpans: [{ scopeSpans: [{ spans }] }] })
  if (!root || root.name !== SPAN_RUN) return 'no root'
  if (missingParents.length > 0) return `${missingParents.length} orphans`
  if (new Set(rows.map(({ spanId }) => spanId)).size < spans.length) return 'a span twice'
  const told = root.failureCode ?? (root.status === 'error' ? 'an error without a code' : 'done')
  if (told !== fate) return `says ${told}`
  const untyped = rows.find(({ status, attributes }) => status === 'error' && attributes[ATTR_ERROR_TYPE] === undefined)
  return untyped && `an error without a type: ${untyped.name}`
}

function lineOf({ fault, moment, runs, trace, spans, pdfsLost, recoveryMs }: Row): string {
  const lost = spans.lost > 0 ? `, ${spans.lost} lost${spans.told ? ', and told' : ''}` : ''
  const pdfs = pdfsLost > 0 ? `, ${pdfsLost} PDFs lost` : ''
  const well = recoveryMs === undefined ? 'never well again' : `well after ${recoveryMs} ms`
  return `  ${fault} · ${moment}: ${runs.join(', ')} · trace ${trace} · ${spans.acknowledged} spans acknowledged${lost}${pdfs} · ${well}`
}

function measuredFrom(rows: Row[], notMade: Record<string, string>, unforwarded: number): Measured {
  const count = (isSo: (row: Row) => boolean) => rows.filter(isSo).length
  const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + of(row), 0)
  return {
    results: { faults: rows.length, table: rows, notMade },
    targets: [
      none(
        'runs that ended neither in a PDF nor in a clear failure',
        sum(({ runs }) => runs.filter((fate) => !isClear(fate)).length),
      ),
      none(
        'traces that are not whole, or say otherwise than the person was told',
        count(({ trace }) => trace !== 'whole'),
      ),
      none(
        'acknowledged spans lost, and nobody told',
        sum(({ spans }) => (spans.told ? 0 : spans.lost)),
      ),
      none(
        'PDFs lost that people were told of',
        sum(({ pdfsLost }) => pdfsLost),
      ),
      none('due spans missing at the backend in the end', unforwarded),
      none(
        'faults after which nothing worked without help',
        count(({ recoveryMs }) => recoveryMs === undefined),
      ),
    ],
  }
}

function isClear(fate: string): boolean {
  return fate === 'done' || (Object.hasOwn(FAILURES, fate) && fate !== 'internal')
}
