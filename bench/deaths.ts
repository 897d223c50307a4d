/**
 * Everything of `ops/deploy` on this machine, and one process after another killed while runs are under way: what people got,
 * whether each trace resolves, and whether what is to be kept has come to where it stays.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Deployed, type Part, startDeployed } from '../ops/deployed.ts'
import { newRunClient, type RunClient } from '../ops/run-client.ts'
import { setUpDeployed } from '../ops/setup/deployed.ts'
import { Progress } from '../ops/setup/progress.ts'
import { asSupport } from '../ops/support.ts'
import { hasFailed, isReport, missingIn } from '../relay/engine/facts.ts'
import { createJaeger } from '../relay/engine/jaeger.ts'
import type { Reader } from '../relay/engine/reader.ts'
import { spansOf, type TracesData } from '../relay/otlp.ts'
import { isInRatio } from '../relay/store/marks.ts'
import { FAILURES } from '../server/contract.ts'
import type { Measured } from './bench.ts'
import { type Fate, insist } from './person.ts'
import { none } from './target.ts'

const PATIENCE_MS = 120_000
/** A trace shows within this, and is copied to where it stays within that: relays look every half minute at what is a minute old. */
const SHOWS_MS = 30_000
const KEPT_MS = 180_000
const LOOK_EVERY_MS = 250
/** From the death to the next start, as a supervisor has it. */
const DOWN_MS = 3_000

const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const work = [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }]
/** Every one of so many fails, and says why: no font of ours has these letters. Others are reported, or one in a hundred. */
const KINDS = ['plain', 'fails', 'reported', 'plain', 'in the ratio'] as const
type Kind = (typeof KINDS)[number]

export interface Death {
  part: Part
  runs: number
  /** How many ended how. */
  fates: Partial<Record<Fate, number>>
  /** When the last run had ended, from the death on, milliseconds. */
  lastEndMs: number
  /** Traces that the console does not know, of all runs. */
  unresolved: number
  /** Traces that were promised to be kept (they failed, or were reported) and of which something is missing where they stay. */
  promised: number
  promisedMissing: number
  /** The same of those that are one in a hundred, which are not copied when a sampler forgets them. */
  inRatio: number
  inRatioMissing: number
  /** When all of the promised ones were there, from the last run's end on, milliseconds. */
  keptAfterMs: number
}

/** Kills a part while `runs` runs are under way, when the first of them has ended; starts it again after `downMs`. */
export async function dieAmid(system: Deployed, part: Part, runs: number, downMs: number): Promise<Death> {
  const { relayUrl } = system.stack
  const client = await newRunClient(relayUrl)
  const people = Array.from({ length: runs }, (_, index) => {
    const kind = KINDS[index % KINDS.length] as Kind
    return { kind, ends: insist(client, bodyOf(kind), PATIENCE_MS, idOf(kind)) }
  })
  await Promise.race(people.map(({ ends }) => ends))
  const { kill, start } = system.parts[part]
  const diedAt = performance.now()
  await kill()
  await delay(downMs)
  await start()
  const fates = await Promise.all(people.map(async ({ kind, ends }) => ({ kind, ...(await ends) })))
  const endedAt = performance.now()

  for (const { kind, id } of fates) if (kind === 'reported') await reported(client, id)
  const traces = new Map<string, TracesData | undefined>()
  for (const { id } of fates) traces.set(id, await shown(relayUrl, id))
  const store = createJaeger({ url: system.windowUrl, headers: {} })
  const archive = createJaeger({ url: system.keptUrl, headers: {} })
  const promised = fates.filter(({ kind, id }) => kind === 'reported' || someFailed(traces.get(id)))
  const promisedMissing = await missingFrom(archive, store, idsOf(promised), KEPT_MS)
  const keptAfterMs = performance.now() - endedAt
  const inRatio = fates.filter((fate) => isInRatio(fate.id) && !promised.includes(fate))
  return {
    ...{ part, runs, fates: countOf(fates.map(({ fate }) => fate)), lastEndMs: Math.round(endedAt - diedAt) },
    unresolved: [...traces.values()].filter((trace) => trace === undefined).length,
    ...{ promised: promised.length, promisedMissing, keptAfterMs: Math.round(keptAfterMs) },
    ...{ inRatio: inRatio.length, inRatioMissing: await missingFrom(archive, store, idsOf(inRatio), SHOWS_MS) },
  }
}

/** Whether somebody was told what became of their run. */
export function isClear(fate: string): boolean {
  return fate === 'done' || (Object.hasOwn(FAILURES, fate) && fate !== 'internal')
}

function bodyOf(kind: Kind): object {
  return { profile: { basics: { name: kind === 'fails' ? 'عدا' : 'Ada Quill' }, work }, posting }
}

/** Of the ratio, or certainly not. */
function idOf(kind: Kind): string {
  for (;;) {
    const id = randomBytes(9).toString('hex') + (kind === 'in the ratio' ? 'ff' : '00') + randomBytes(6).toString('hex')
    if (isInRatio(id) === (kind === 'in the ratio')) return id
  }
}

/** Tries again while nobody is there who could take it, as the extension does. */
async function reported(client: RunClient, id: string): Promise<void> {
  for (const until = Date.now() + SHOWS_MS; ; await delay(LOOK_EVERY_MS)) {
    const error = await client.keep(id).then(
      () => undefined,
      (error) => error,
    )
    if (!error) return
    if (Date.now() > until) throw error
  }
}

/** What the console has of it, once it has something. */
async function shown(relayUrl: string, id: string): Promise<TracesData | undefined> {
  for (const until = Date.now() + SHOWS_MS; Date.now() < until; await delay(LOOK_EVERY_MS)) {
    const response = await fetch(`${relayUrl}/api/traces/${id}`, { headers: asSupport(relayUrl) })
    const answer = (await response.json()) as Partial<TracesData>
    if (response.ok && answer.resourceSpans && answer.resourceSpans.length > 0) return answer as TracesData
  }
  return undefined
}

const someFailed = (trace: TracesData | undefined) => trace !== undefined && [...spansOf(trace)].some(hasFailed)
const idsOf = (fates: { id: string }[]) => fates.map(({ id }) => id)

/** Of how many traces the archive lacks a span that the store has, at last. */
async function missingFrom(archive: Reader, store: Reader, ids: string[], withinMs: number): Promise<number> {
  let open = ids
  for (const until = Date.now() + withinMs; ; await delay(LOOK_EVERY_MS)) {
    const looks = await Promise.all(open.map(async (id) => ((await isWhole(archive, store, id)) ? [] : [id])))
    open = looks.flat()
    if (open.length === 0 || Date.now() > until) return open.length
  }
}

async function isWhole(archive: Reader, store: Reader, id: string): Promise<boolean> {
  const [kept, all] = await Promise.all([archive.trace(id), store.trace(id)])
  if (!kept) return false
  const missing = all && missingIn(kept, all)
  // That somebody reported it is no part of what happened.
  return !missing || [...spansOf(missing)].every(isReport)
}

function countOf(fates: Fate[]): Death['fates'] {
  const counts: Death['fates'] = {}
  for (const fate of fates) counts[fate] = (counts[fate] ?? 0) + 1
  return counts
}

/** `runs` at once for each part. */
export async function benchDeaths(runs: number): Promise<Measured> {
  await setUpDeployed(new Progress(process.stderr))
  const system = await startDeployed()
  const rows: Death[] = []
  try {
    for (const part of Object.keys(system.parts) as Part[]) {
      const row = await dieAmid(system, part, runs, DOWN_MS)
      rows.push(row)
      process.stderr.write(`  ${JSON.stringify(row)}\n`)
    }
  } finally {
    await system.stop()
  }
  const inAll = (of: (row: Death) => number) => rows.reduce((sum, row) => sum + of(row), 0)
  const unclear = ({ fates }: Death) =>
    Object.entries(fates).reduce((sum, [fate, count]) => sum + (isClear(fate) ? 0 : count), 0)
  return {
    results: { downMs: DOWN_MS, table: rows },
    targets: [
      none('runs that ended neither in a PDF nor in a clear failure', inAll(unclear)),
      none(
        'traces that the console does not know',
        inAll(({ unresolved }) => unresolved),
      ),
      none(
        'traces that failed or were reported, and are not whole where they stay',
        inAll(({ promisedMissing }) => promisedMissing),
      ),
    ],
  }
}
