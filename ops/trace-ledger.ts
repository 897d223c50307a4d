/**
 * Every trace that the stacks of a test run have stored, held against {@link faultsIn}: the last step of `npm test`, and of
 * some tests, run with TRACE_LEDGER=FOLDER, then `node ops/trace-ledger.ts FOLDER`. A test looks at the traces it asks for;
 * here are the others, too. A stack that a test sends spans of its own to says so (`tracesByHand`) and stays out.
 */
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { decode, type Encoding, type ResourceSpans, type TracesData } from '../relay/otlp.ts'
import { faultsIn } from './trace-quality.ts'

/** Faults that are shown, of each trace and in all. */
const SHOWN = 5
const SHOWN_TRACES = 40

/** Moves the store of a relay that has stopped into the ledger of this test run, when there is one. */
export async function enterInLedger(storeFolder: string): Promise<void> {
  const ledger = process.env.TRACE_LEDGER
  if (!ledger) return
  await mkdir(ledger, { recursive: true })
  await rename(storeFolder, join(ledger, randomUUID()))
}

/** The traces in a store's folder, by ID. */
function tracesIn(storeFolder: string): Map<string, TracesData> {
  const traces = new Map<string, TracesData>()
  for (const file of readdirSync(storeFolder).filter((name) => /^\d.*\.sqlite$/.test(name))) {
    const db = new DatabaseSync(join(storeFolder, file))
    for (const { body, encoding } of db.prepare('SELECT body, encoding FROM request').iterate()) {
      for (const group of decode(gunzipSync(body as Uint8Array), encoding as Encoding).resourceSpans) {
        for (const [traceId, part] of byTrace(group)) {
          const trace = traces.get(traceId) ?? { resourceSpans: [] }
          trace.resourceSpans.push(part)
          traces.set(traceId, trace)
        }
      }
    }
    db.close()
  }
  return traces
}

function byTrace(group: ResourceSpans): Map<string, ResourceSpans> {
  const spans = (group.scopeSpans ?? []).flatMap((scope) => (scope.spans ?? []).map((span) => ({ scope, span })))
  return new Map(
    [...Map.groupBy(spans, ({ span }) => span.traceId)].map(([traceId, those]) => [
      traceId,
      { ...group, scopeSpans: those.map(({ scope, span }) => ({ ...scope, spans: [span] })) },
    ]),
  )
}

function examine(ledger: string): void {
  const stores = readdirSync(ledger)
  const faulty: string[] = []
  let [traces, spans] = [0, 0]
  for (const store of stores) {
    for (const [traceId, data] of tracesIn(join(ledger, store))) {
      traces += 1
      spans += data.resourceSpans.reduce((sum, { scopeSpans = [] }) => sum + scopeSpans.length, 0)
      const faults = faultsIn(data)
      if (faults.length > 0)
        faulty.push(
          `  ${traceId}\n${faults
            .slice(0, SHOWN)
            .map((fault) => `    ${fault}\n`)
            .join('')}`,
        )
    }
  }
  for (const fault of faulty.slice(0, SHOWN_TRACES)) console.log(fault)
  console.log(`  ${spans} spans of ${traces} traces from ${stores.length} stacks: ${faulty.length} traces have faults`)
  // A ledger that nothing was entered in proves nothing.
  if (faulty.length > 0 || traces === 0) process.exitCode = 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) examine(process.argv[2] ?? '')
