/**
 * What telemetry costs whoever waits: stacks side by side, with it and without, the same inputs in turn. Without means
 * without: no spans, no log, nothing counted in relay and server, and an extension that was built without its tracer.
 */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launchBrowser } from '../ops/browser.ts'
import { closeOnSignal } from '../ops/closing.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain } from '../ops/setup/toolchain.ts'
import type { Measured } from './bench.ts'
import { medianRatio, type Pair, p95Ratio, type Ratio } from './bootstrap.ts'
import { builtCode } from './built-code.ts'
import { noTelemetry } from './extension-size.ts'
import { measureExtraction } from './extraction-cost.ts'
import { median, rounded } from './median.ts'
import { type Kind, type Side, startSide, type Used, type Waits } from './overhead-side.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'
import { largestPosting } from './tracer.ts'
import { untraced } from './untraced-extension.ts'

const CONTENT_SCRIPT = fileURLToPath(new URL('../extension/content.ts', import.meta.url))
/** Rounds until all are started anew: how a process happens to lie in memory stays as it is, and costs by chance. */
const BLOCK = 50
/** Relays and servers run for days: their first rounds, which are slower, are not what a person meets. A browser's worker is young. */
const WARM_UP = { servers: 50, all: 5 }
/**
 * Those that are up together, each in every round: what works at another pace than its like was seen to differ from it as much
 * as all of telemetry makes. The second group has a third of the rounds.
 */
const GROUPS = [
  { backend: 'well', of: ['on'], share: 1 },
  { backend: 'in trouble', of: ['backend dead', 'backend silent', 'backend failing'], share: 1 / 3 },
] as const satisfies { backend: string; of: readonly Kind[]; share: number }[]
const MAX_RATIO = 1.03
const WAITS = {
  clickToPdf: 'click to PDF',
  generate: 'POST /generate to its answer',
  firstEvent: 'POST /generate to the first event',
  lastEvent: 'POST /generate to the last event',
  compile: 'POST /compile to its PDF',
} as const satisfies Record<keyof Waits, string>

interface Group {
  backend: string
  /** With telemetry; `off` is beside them. */
  of: readonly Kind[]
  rounds: Map<Kind, Waits>[]
  blocks: Map<Kind, Used>[]
}

/** `pairs` times with and without. */
export async function benchOverhead(pairs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const chromium = await findChromium(progress)
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-overhead-'))
  const forget = closeOnSignal(() => rm(folder, { recursive: true, force: true }))
  try {
    const [traced, bare] = [join(folder, 'traced'), join(folder, 'untraced')]
    await buildExtension(progress, 'chromium', traced)
    await buildExtension(progress, 'chromium', bare, [untraced])
    // crxjs builds it by itself, without the plugins of the rest.
    await writeFile(join(bare, 'content.js'), await builtCode(CONTENT_SCRIPT, [noTelemetry]))
    await expectUntraced(traced, bare)
    const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/long.json', import.meta.url), 'utf8'))
    const start = (kind: Kind) => startSide(kind, chromium, kind === 'off' ? bare : traced, profile)
    const groups: Group[] = []
    for (const { share, ...which } of GROUPS) {
      const group: Group = { ...which, rounds: [], blocks: [] }
      for (let left = Math.ceil(pairs * share); left > 0; left -= BLOCK) {
        await block(start, group, Math.min(BLOCK, left))
      }
      groups.push(group)
    }
    return measuredFrom(groups, await extractionCost(chromium))
  } finally {
    process.stderr.write('\n')
    await rm(folder, { recursive: true, force: true })
    forget()
  }
}

async function block(
  start: (kind: Kind) => Promise<Side>,
  { of, rounds, blocks }: Group,
  count: number,
): Promise<void> {
  const sides: Side[] = []
  try {
    for (const kind of [...of, 'off'] as const) sides.push(await start(kind))
    for (let round = 0; round < WARM_UP.servers; round++) for (const side of sides) await side.warmUp()
    for (let round = 0; round < WARM_UP.all; round++) for (const side of sides) await side.round()
    for (const side of sides) await side.used()
    for (let round = 0; round < count; round++) {
      const waits = new Map<Kind, Waits>()
      // Each is as often before any other as behind it.
      for (const side of turned(sides, round)) waits.set(side.kind, await side.round())
      rounds.push(waits)
      process.stderr.write(`\r  ${rounds.length} `)
    }
    const used = new Map<Kind, Used>()
    for (const side of sides) used.set(side.kind, perRound(await side.used(), count))
    blocks.push(used)
  } finally {
    for (const side of sides) await side.stop()
  }
}

function turned<T>(values: readonly T[], round: number): T[] {
  const from = Math.floor(round / 2) % values.length
  const rotated = [...values.slice(from), ...values.slice(0, from)]
  return round % 2 === 0 ? rotated : rotated.reverse()
}

/** A round is a run through the browser, one without it, and a compilation. */
function perRound({ relayCpuMs, serverCpuMs, extensionCpuMs, ...memory }: Used, rounds: number): Used {
  const per = (ms: number) => rounded(ms / rounds)
  return { relayCpuMs: per(relayCpuMs), serverCpuMs: per(serverCpuMs), extensionCpuMs: per(extensionCpuMs), ...memory }
}

function measuredFrom(groups: readonly Group[], extraction: Awaited<ReturnType<typeof extractionCost>>): Measured {
  const names = Object.keys(WAITS) as (keyof Waits)[]
  const comparisons = groups.flatMap(({ of, rounds }) =>
    of.map((kind) => [kind, new Map(names.map((name) => [name, compared(pairsOf(rounds, kind, name))]))] as const),
  )
  const target = (what: string, kind: Kind, { to }: Ratio) => {
    const telemetry = kind === 'on' ? 'with telemetry' : `with telemetry, ${kind}`
    return atMost(`${what}, ${telemetry}: ratio of medians to without, upper bound`, to, MAX_RATIO)
  }
  const { ratio } = extraction.first
  return {
    results: {
      waits: Object.fromEntries(comparisons.map(([kind, waits]) => [kind, Object.fromEntries(waits)])),
      extraction,
      used: Object.fromEntries(
        groups.map(({ backend, of, blocks }) => {
          const kinds: Kind[] = [...of, 'off']
          return [`backend ${backend}`, Object.fromEntries(kinds.map((kind) => [kind, usedBy(blocks, kind)]))]
        }),
      ),
    },
    targets: [
      ...comparisons.flatMap(([kind, waits]) =>
        [...waits].map(([name, { ofMedians }]) => target(WAITS[name], kind, ofMedians)),
      ),
      target('reading the largest posting', 'on', { ...ratio, ratio: ratio.median }),
    ],
  }
}

function pairsOf(rounds: Group['rounds'], kind: Kind, name: keyof Waits): Pair[] {
  return rounds.map((round) => ({
    with: round.get(kind)?.[name] ?? Number.NaN,
    without: round.get('off')?.[name] ?? Number.NaN,
  }))
}

function compared(pairs: readonly Pair[]) {
  const [ones, others] = [pairs.map((pair) => pair.with), pairs.map((pair) => pair.without)]
  const spread = (ms: readonly number[]) => ({ p50: rounded(median(ms)), p95: percentile(ms, 0.95) })
  return {
    pairs: pairs.length,
    withMs: spread(ones),
    withoutMs: spread(others),
    ofMedians: medianRatio(pairs),
    ofP95s: p95Ratio(pairs),
  }
}

function usedBy(blocks: Group['blocks'], kind: Kind): Record<string, number> {
  const all = blocks.flatMap((block) => block.get(kind) ?? [])
  const names = Object.keys(all[0] ?? {}) as (keyof Used)[]
  return Object.fromEntries(names.map((name) => [name, rounded(median(all.map((used) => used[name])))]))
}

async function extractionCost(chromium: string) {
  const browser = await launchBrowser(chromium)
  try {
    return await measureExtraction(browser, largestPosting())
  } finally {
    await browser.close()
  }
}

/** A comparison of two that are the same would be a fine one. */
async function expectUntraced(traced: string, bare: string): Promise<void> {
  const [ones, others] = [await codeIn(traced), await codeIn(bare)]
  const scripts = await Promise.all([traced, bare].map((folder) => readFile(join(folder, 'content.js'), 'utf8')))
  // What the journal writes, and what the content script measures.
  const journals = ones.includes('heartbeat') && !others.includes('heartbeat') && others.includes('traceparent')
  if (!journals || !scripts[0]?.includes('took') || scripts[1]?.includes('took'))
    throw new Error('The extension without telemetry is not what it should be.')
}

async function codeIn(folder: string): Promise<string> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js'))
  return (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('\n')
}
