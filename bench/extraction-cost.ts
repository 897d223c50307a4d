/** What tracing adds to the reading of a posting in a real page: the content script as it ships, and without times. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CDPSession } from '@playwright/test'
import { type Browser, EXTENSION_DIR } from '../ops/browser.ts'
import { pageAt, urlOf } from '../ops/postings.ts'
import { builtCode } from './built-code.ts'
import { noTelemetry } from './extension-size.ts'
import { contentScript, type Timed, timeFirst, timeRounds } from './extraction-loop.ts'
import { median, medianWithin, rounded } from './median.ts'

/** A sample is this long: a thousand times what the page's clock can tell apart. */
const SAMPLE_MS = 5
/** Pages one after the other: how the engine optimises two copies of a script differs by chance, and stays so. */
const PAGES = 24
const ROUNDS_A_PAGE = 30
const WARM_UP = 18
const FIRST_ROUNDS = 300
const FIRST_WARM_UP = 12
/** Worlds stay until their page goes. */
const ROUNDS_OF_WORLDS = 30
/** In turn: what one script leaves to the collector of garbage, another finds. */
const ORDERS = [
  [0, 1, 2],
  [2, 1, 0],
  [1, 2, 0],
  [0, 2, 1],
  [2, 0, 1],
  [1, 0, 2],
]

export interface ExtractionCost {
  posting: string
  /** One extraction by a script that has made hundreds. */
  warm: Compared
  /** One extraction by a script that has just been loaded, and its loading: what happens in a run. */
  first: Compared
}

/** Milliseconds are medians; everything else is compared page by page, or round by round. */
interface Compared {
  withMs: number
  withoutMs: number
  addedMs: Middle
  ratio: Middle
  /** The ratio of two copies of the same script: the bench's own error. */
  control: Middle
}

type Middle = ReturnType<typeof medianWithin>

/** Reads `posting`, a bundled one. Throws when what is compared does not differ in the times alone. */
export async function measureExtraction(browser: Browser, posting: string): Promise<ExtractionCost> {
  const shipped = await readFile(join(EXTENSION_DIR, 'content.js'), 'utf8')
  const bare = await builtCode(fileURLToPath(new URL('../extension/content.ts', import.meta.url)), [noTelemetry])
  const page = await browser.context.newPage()
  const url = urlOf(posting)
  // Isolated from other origins, a page has a clock of 5 µs instead of 100. Nothing else of it changes.
  const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
  await page.route(url, (route) =>
    route.fulfill({ contentType: 'text/html; charset=utf-8', headers, body: pageAt(url) ?? '' }),
  )
  const session = await browser.context.newCDPSession(page)
  try {
    const warm: Timed[] = []
    for (let index = 0; index < PAGES; index++) {
      await page.goto(url)
      warm.push(await warmPage(session, [shipped, bare, shipped], index))
    }
    const first: Timed[] = []
    for (let round = 0; round < FIRST_WARM_UP + FIRST_ROUNDS; round++) {
      if (round % ROUNDS_OF_WORLDS === 0) await page.goto(url)
      first.push(await firstRound(session, [shipped, bare, shipped], round))
    }
    return { posting, warm: compared(warm), first: compared(first.slice(FIRST_WARM_UP)) }
  } finally {
    await page.close()
  }
}

/** Medians of one page's rounds. Which script is loaded first changes with `index`. */
async function warmPage(session: CDPSession, scripts: Scripts, index: number): Promise<Timed> {
  const world = await isolatedWorld(session, 'warm')
  await evaluate(session, world, 'globalThis.scripts = []; 0')
  for (const which of orderOf(index)) {
    const script = `(${contentScript})(${JSON.stringify(scripts[which])})`
    await evaluate(session, world, `scripts[${which}] = ${script}; 0`)
  }
  const [traced = '', bare = ''] = (await evaluate(session, world, 'scripts.map((ask) => ask())')) as string[]
  expectSameReading(traced, bare)

  const rounds = async (times: number, count: number) => {
    const orders = JSON.stringify(Array.from({ length: count }, (_, round) => orderOf(round)))
    return (await evaluate(session, world, `(${timeRounds})(scripts, ${times}, ${orders})`)) as Timed[]
  }
  const tries = await rounds(50, WARM_UP)
  const timed = await rounds(Math.ceil(SAMPLE_MS / medianOf(tries, 0)), ROUNDS_A_PAGE)
  return [medianOf(timed, 0), medianOf(timed, 1), medianOf(timed, 2)]
}

/** Each in a world of its own, and as another script, for which the engine has nothing kept. */
async function firstRound(session: CDPSession, scripts: Scripts, round: number): Promise<Timed> {
  const timed: Timed = [0, 0, 0]
  for (const index of orderOf(round)) {
    const version = `${round}-${index}`
    const world = await isolatedWorld(session, version)
    const code = JSON.stringify(`${scripts[index]}\n// ${version}`)
    const expression = `(${timeFirst})(${contentScript}, ${code})`
    timed[index] = (await evaluate(session, world, expression)) as number
  }
  return timed
}

type Scripts = [shipped: string, bare: string, again: string]
const BARE = 1

/** What a content script runs in: the page's document, and globals that the page does not see. */
async function isolatedWorld(session: CDPSession, worldName: string): Promise<number> {
  const { frameTree } = await session.send('Page.getFrameTree')
  const world = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName })
  return world.executionContextId
}

async function evaluate(session: CDPSession, contextId: number, expression: string): Promise<unknown> {
  const answer = await session.send('Runtime.evaluate', { contextId, expression, returnByValue: true })
  if (answer.exceptionDetails)
    throw new Error(answer.exceptionDetails.exception?.description ?? 'It threw in the page.')
  return answer.result.value
}

function expectSameReading(withTimes: string, without: string): void {
  const [traced, bare] = [JSON.parse(withTimes), JSON.parse(without)]
  const same = traced.posting && JSON.stringify(traced.posting) === JSON.stringify(bare.posting)
  if (!same || !(traced.attempted?.attempts.length > 0) || bare.attempted.attempts)
    throw new Error('The two do not differ in the times of the tries alone.')
}

function compared(timed: readonly Timed[]): Compared {
  return {
    withMs: rounded(medianOf(timed, 0)),
    withoutMs: rounded(medianOf(timed, BARE)),
    addedMs: medianWithin(timed.map(([shipped, bare]) => shipped - bare)),
    ratio: medianWithin(timed.map(([shipped, bare]) => shipped / bare)),
    control: medianWithin(timed.map(([shipped, , again]) => shipped / again)),
  }
}

function medianOf(timed: readonly Timed[], index: 0 | 1 | 2): number {
  return median(timed.map((times) => times[index]))
}

function orderOf(round: number): number[] {
  return ORDERS[round % ORDERS.length] ?? []
}
