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
import { KINDS, type Kind, type Side, startSide, type Used, type Waits } from './overhead-side.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'
import { largestPosting } from './tracer.ts'
import { untraced } from './untraced-extension.ts'

const CONTENT_SCRIPT = fileURLToPath(new URL('../extension/content.ts', import.meta.url))
/** Rounds until all are started anew: how a process happens to lie in memory stays as it is, and costs by chance. */
const BLOCK = 100
/** Relays and servers run for days, and what they do for the first times takes several times as long. A browser's worker is young. */
const WARM_UP = { servers: 50, all: 5 }
/**
 * The others than on and off take part in one round of so many, to be compared with each other: what works at another pace
 * finds its caches in another state, which was seen to make as much of a difference as all of telemetry.
 */
const SELDOM = 3
const MAX_RATIO = 1.03
const WAITS = {
  clickToPdf: 'click to PDF',
  generate: 'POST /generate to its answer',
  firstEvent: 'POST /generate to the first event',
  lastEvent: 'POST /generate to the last event',
  compile: 'POST /compile to its PDF',
} as const satisfies Record<keyof Waits, string>

type Rounds = Map<Kind, Waits>[]
type Blocks = Map<Kind, Used>[]

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
    const start = (kind: Kind) => startSide(kind, chromium, kind.startsWith('off') ? bare : traced, profile)
    const rounds: Rounds = []
    const blocks: Blocks = []
    for (let left = pairs; left > 0; left -= BLOCK) {
      await block(start, Math.min(BLOCK, left), rounds, blocks)
    }
    return measuredFrom(rounds, blocks, await extractionCost(chromium))
  } finally {
    process.stderr.write('\n')
    await rm(folder, { recursive: true, force: true })
    forget()
  }
}

async function block(
  start: (kind: Kind) => Promise<Side>,
  count: number,
  rounds: Rounds,
  blocks: Blocks,
): Promise<void> {
  const sides: Side[] = []
  try {
    for (const kind of KINDS) sides.push(await start(kind))
    for (let round = 0; round < WARM_UP.servers; round++) for (const side of sides) await side.warmUp()
    for (let round = 0; round < WARM_UP.all; round++) for (const side of sides) await side.round()
    for (const side of sides) await side.used()
    for (let round = 0; round < count; round++) {
      const some = sides.filter(({ kind }) => round % SELDOM === 0 || kind === 'on' || kind === 'off')
      const waits = new Map<Kind, Waits>()
      // Each is as often before any other as behind it.
      for (const side of turned(some, round)) waits.set(side.kind, await side.round())
      rounds.push(waits)
      process.stderr.write(`\r  ${rounds.length} `)
    }
    const used = new Map<Kind, Used>()
    for (const side of sides) used.set(side.kind, perRound(await side.used(), side.kind, count))
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
function perRound(used: Used, kind: Kind, count: number): Used {
  const rounds = kind === 'on' || kind === 'off' ? count : Math.ceil(count / SELDOM)
  const { relayCpuMs, serverCpuMs, extensionCpuMs, ...memory } = used
  const per = (ms: number) => rounded(ms / rounds)
  return { relayCpuMs: per(relayCpuMs), serverCpuMs: per(serverCpuMs), extensionCpuMs: per(extensionCpuMs), ...memory }
}

function measuredFrom(
  rounds: Rounds,
  blocks: Blocks,
  extraction: Awaited<ReturnType<typeof extractionCost>>,
): Measured {
  const waits = Object.keys(WAITS) as (keyof Waits)[]
  const pairsOf = (kind: Kind, wait: keyof Waits): Pair[] =>
    rounds.flatMap((round) => {
      const [one, other] = [round.get(kind), round.get(kind.startsWith('backend') ? 'off again' : 'off')]
      return one && other ? [{ with: one[wait], without: other[wait] }] : []
    })
  const others = KINDS.filter((kind) => kind !== 'off')
  const ratios = new Map(
    others.map((kind) => [kind, new Map(waits.map((wait) => [wait, compared(pairsOf(kind, wait))]))]),
  )
  const target = (what: string, kind: Kind, { to }: Ratio) => {
    const telemetry = kind === 'on' ? 'with telemetry' : `with telemetry, ${kind}`
    return atMost(`${what}, ${telemetry}: ratio of medians to without, upper bound`, to, MAX_RATIO)
  }
  const { first } = extraction
  return {
    results: {
      pairs: rounds.length,
      waits: Object.fromEntries([...ratios].map(([kind, of]) => [kind, Object.fromEntries(of)])),
      extraction,
      used: Object.fromEntries(KINDS.map((kind) => [kind, usedBy(blocks, kind)])),
    },
    targets: [
      ...others
        .filter((kind) => kind !== 'off again')
        .flatMap((kind) =>
          waits.map((wait) => target(WAITS[wait], kind, ratios.get(kind)?.get(wait)?.ofMedians as Ratio)),
        ),
      target('reading the largest posting', 'on', {
        ratio: first.ratio.median,
        from: first.ratio.from,
        to: first.ratio.to,
      }),
    ],
  }
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

function usedBy(blocks: Blocks, kind: Kind): Record<string, number> {
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
