/** Runs whose worker is killed at a random moment: what became of them, and how soon the next worker went on. */

import { readFile } from 'node:fs/promises'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { report, saveSettings, wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { urlOf } from '../ops/postings.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'
import { DEATHS, type Death, die, survivedRun } from '../ops/survivor.ts'
import type { TracesData } from '../relay/otlp.ts'
import { spansOf } from '../relay/otlp.ts'
import type { Measured } from './bench.ts'
import { percentile } from './percentile.ts'
import { type Recovery, recoveryOf } from './recovery.ts'
import { none } from './target.ts'

/** Most of a run without a model, click to PDF: kills fall anywhere in it, and some just after. */
const RUN_MS = 450

interface Fate extends Recovery {
  death: Death
  status: string
  /** The root of the trace was there once, under the span ID it started with. */
  wholeTrace: boolean
  orphans: number
  duplicates: number
}

/** Makes `runs` runs, the kinds of death in turn. */
export async function benchSurvive(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const chromium = await findChromium(progress)
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8'))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  const fates: Fate[] = []
  let browser = await launchBrowser(chromium)
  try {
    await saveSettings(browser, stack.relayUrl, profile)
    for (let index = 0; index < runs; index++) {
      const death = DEATHS[index % DEATHS.length] as Death
      const relaunch = (kept: string) => launchBrowser(chromium, kept)
      // One crash in five has nobody but the recovery alarm to wake the next worker, which takes half a minute.
      const alone = death === 'process kill' && index % (5 * DEATHS.length) < DEATHS.length
      const { id, rootSpanId, after } = await startAndKill(browser, death, alone, relaunch)
      browser = after
      fates.push(await fateOf(browser, stack.relayUrl, death, id, rootSpanId))
      process.stderr.write(`\r  ${index + 1} of ${runs} `)
    }
  } finally {
    process.stderr.write('\n')
    await browser.close()
    await stack.stop()
  }
  return measuredFrom(fates)
}

async function startAndKill(
  browser: Browser,
  death: Death,
  alone: boolean,
  relaunch: (profile: string) => Promise<Browser>,
) {
  // Asked in a page: Playwright's handle of a worker is no good after its process has died.
  const watch = await browser.openExtensionPage('resume/resume.html')
  const page = await browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  const before = await watch.evaluate(
    async () => (await chrome.storage.local.get('run')).run as { id: string } | undefined,
  )
  const started = watch.evaluate(startedAfter, before?.id)
  const popup = await browser.openPopup(page)
  await popup.click('generate')
  const { id, rootSpanId } = await started
  // Closed: Chromium takes an extension out of service whose process dies with a page of it open.
  await popup.close().catch(() => undefined)
  await watch.close()
  await new Promise((resolve) => setTimeout(resolve, Math.random() * RUN_MS))
  const after = await die(browser, death, relaunch)
  if (!alone && (death === 'worker stop' || death === 'process kill')) await wake(after)
  if (after === browser) await page.close().catch(() => undefined)
  return { id, rootSpanId, after }
}

/** In a page of the extension: the next run's ID and its root's span ID, as soon as both are in storage. */
async function startedAfter(previous: string | undefined): Promise<{ id: string; rootSpanId: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ id: string; rootSpanId: string }>()
  const look = async () => {
    const stored = await chrome.storage.local.get(null)
    const run = stored.run as { id: string } | undefined
    const roots = Object.values(stored).flatMap((value) =>
      typeof value === 'string' && value.includes('"generate resume"') ? [JSON.parse(value)] : [],
    )
    const root = roots.find(({ traceId }) => traceId === run?.id)
    if (run && run.id !== previous && root) resolve({ id: run.id, rootSpanId: root.spanId })
  }
  chrome.storage.onChanged.addListener(look)
  setTimeout(() => reject(new Error('The run did not start.')), 20_000)
  await look()
  return promise
}

/** What an open popup does when its connection is lost; without it half a minute would pass until the alarm. */
async function wake(browser: Browser): Promise<void> {
  // Right after a crash the extension's pages cannot be opened for a moment.
  const deadline = Date.now() + 10_000
  for (;;) {
    try {
      const page = await browser.openExtensionPage('resume/resume.html')
      await page.evaluate(() => void chrome.runtime.connect())
      await page.close()
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
  }
}

async function fateOf(browser: Browser, relayUrl: string, death: Death, id: string, rootSpanId: string): Promise<Fate> {
  const lost = { death, wholeTrace: false, orphans: 0, duplicates: 0, recoveryMs: undefined, bootMs: undefined }
  const run = await survivedRun(browser, id).catch(() => undefined)
  if (!run) return { ...lost, status: 'stuck' }
  const startedAt = await browser.workerStartedAt()
  await report(browser, id)
  const waterfall = await wholeTrace(relayUrl, id).catch(() => undefined)
  const data = (await (
    await fetch(`${relayUrl}/api/traces/${id}`, { headers: asSupport(relayUrl) })
  ).json()) as TracesData
  const spans = data.resourceSpans ? [...spansOf(data)] : []
  const roots = spans.filter(({ parentSpanId }) => !parentSpanId)
  return {
    death,
    status: run.status,
    wholeTrace: waterfall !== undefined && roots.length === 1 && roots[0]?.spanId === rootSpanId,
    orphans: waterfall?.missingParents.length ?? 0,
    duplicates: spans.length - new Set(spans.map(({ spanId }) => spanId)).size,
    ...recoveryOf(roots[0], startedAt),
  }
}

function measuredFrom(fates: Fate[]): Measured {
  const table = DEATHS.map((death) => {
    const of = fates.filter((fate) => fate.death === death)
    const recoveries = of.flatMap(({ recoveryMs }) => recoveryMs ?? [])
    const boots = of.flatMap(({ bootMs }) => bootMs ?? [])
    return {
      death,
      runs: of.length,
      done: of.filter(({ status }) => status === 'done').length,
      failed: of.filter(({ status }) => status === 'failed').length,
      resumed: recoveries.length,
      fromLastSignOfLifeMs: { p50: percentile(recoveries, 0.5), p99: percentile(recoveries, 0.99) },
      fromWorkerStartMs: { p50: percentile(boots, 0.5), p99: percentile(boots, 0.99) },
    }
  })
  const sum = (count: (fate: Fate) => number) => fates.reduce((total, fate) => total + count(fate), 0)
  return {
    results: { runs: fates.length, table },
    targets: [
      none(
        'runs without a whole trace under the root that it started with',
        sum((fate) => Number(!fate.wholeTrace)),
      ),
      none(
        'runs that did not end',
        sum(({ status }) => Number(status === 'stuck')),
      ),
      none(
        'orphans',
        sum(({ orphans }) => orphans),
      ),
      none(
        'duplicate spans',
        sum(({ duplicates }) => duplicates),
      ),
    ],
  }
}
