/**
 * What a browser test needs: a real relay and server, a real Chromium with the built extension, the bundled postings
 * under their own host names, and a person's steps. One of each a worker; tests start from a clean extension.
 */

import { readFile } from 'node:fs/promises'
import { test as base, expect } from '@playwright/test'
import * as names from '../names.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { generate, report, saveSettings, wholeTrace } from '../ops/demonstration.ts'
import { startDeployed } from '../ops/deployed.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { faultsOf } from '../ops/trace-quality.ts'
import type { Row, Waterfall } from '../relay/console/waterfall.ts'
import { type AboutRunMessage, POPUP_PORT, PREVIEW_REPORT } from './messages.ts'
import type { PastRun } from './past-runs.ts'
import type { RunState } from './run-state.ts'

export type ProfileName = 'short' | 'long' | 'diacritics'

export interface Journey {
  browser: Browser
  relayUrl: string
  /** Saves a bundled profile, another one, or none, and the relay's address. */
  settings(profile: ProfileName | object | undefined, relayUrl?: string): Promise<void>
  /** One press of Generate on a bundled page; resolves when the run has ended. */
  generate(posting: string): Promise<RunState>
  /** Whether traces may be sent without being reported. */
  consent(given: boolean): Promise<void>
  /** Stops the worker and wakes the next one as an open popup does; it knows what is in storage and no more. */
  anotherWorker(): Promise<void>
  /** The run's trace once it is reported and whole. Every trace that a test looks at is held against {@link expectSound}. */
  trace(run: Pick<RunState, 'id'>, relayUrl?: string): Promise<Waterfall>
}

/** Where the console's links to runbooks lead. */
export const RUNBOOKS = 'https://runbooks.example/alerts'

/**
 * A second stack with other settings, e.g. with a model's endpoint or without Tectonic. Stop it in the test. As
 * playwright.distributed.config.ts wants it, it is all of `ops/deploy`, and tests do not notice.
 */
export async function anotherStack(env: Record<string, string>, toolchain = toolchainPath()): Promise<Stack> {
  const options = { toolchainPath: toolchain, env: { RELAY_RUNBOOKS: RUNBOOKS, ...env } }
  return process.env.JOURNEYS === 'deployed' ? (await startDeployed(options)).stack : startTemporaryStack(options)
}

export async function bundledProfile(name: ProfileName): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(new URL(`../fixtures/profiles/${name}.json`, import.meta.url), 'utf8'))
}

export const test = base.extend<{ journey: Journey }, { stack: Stack; browser_: Browser }>({
  stack: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's dependencies from the pattern.
    async ({}, use) => {
      const stack = await anotherStack({})
      await use(stack)
      await stack.stop()
    },
    { scope: 'worker' },
  ],
  browser_: [
    // biome-ignore lint/correctness/noEmptyPattern: as above.
    async ({}, use) => {
      const executablePath = await findChromium(new Progress(process.stderr))
      const browser = await launchBrowser(executablePath)
      await use(browser)
      await browser.close()
    },
    { scope: 'worker' },
  ],
  journey: async ({ stack, browser_: browser }, use) => {
    await browser.worker.evaluate(() => chrome.storage.local.clear())
    await use({
      browser,
      relayUrl: stack.relayUrl,
      settings: async (profile, relayUrl = stack.relayUrl) =>
        saveSettings(browser, relayUrl, typeof profile === 'string' ? await bundledProfile(profile) : profile),
      generate: (posting) => generate(browser, posting),
      consent: (consent) => browser.worker.evaluate((consent) => chrome.storage.local.set({ consent }), consent),
      anotherWorker: async () => {
        const page = await browser.openExtensionPage('resume/resume.html')
        await browser.stopWorker()
        const ask = { type: PREVIEW_REPORT, payload: { runId: '' } } satisfies AboutRunMessage
        await page.evaluate(
          ({ name, ask }) => {
            chrome.runtime.connect({ name })
            // Answered when the worker is there: a connection that is gone by then is never told of.
            return chrome.runtime.sendMessage(ask)
          },
          { name: POPUP_PORT, ask },
        )
        await page.close()
      },
      trace: async (run, relayUrl = stack.relayUrl) => {
        await report(browser, run.id)
        return soundTrace(relayUrl, run.id)
      },
    })
  },
})

/** For the worker: how many keys of its storage begin like this. */
export const stored = (key: string) =>
  `chrome.storage.local.get(null).then((all) => Object.keys(all).filter((k) => k.startsWith(${JSON.stringify(key)})).length)`
/** For the worker: the list of past runs. */
export const pastRuns = () => chrome.storage.local.get('runs').then(({ runs }) => (runs ?? []) as PastRun[])

/** The trace, once it is whole, held against {@link expectSound}. */
export async function soundTrace(relayUrl: string, traceId: string): Promise<Waterfall> {
  const waterfall = await wholeTrace(relayUrl, traceId)
  expectSound(waterfall)
  return waterfall
}

/** The browser's part is there, and the trace is what every one of ours is. */
export function expectSound(waterfall: Waterfall): void {
  expect(waterfall.root?.service).toBe(names.SERVICE_EXTENSION)
  expect(faultsOf(waterfall)).toEqual([])
}

/** The rows with this name, of one service if given. */
export function rowsNamed({ rows }: Waterfall, name: string, service?: string): Row[] {
  return rows.filter((row) => row.name === name && (service === undefined || row.service === service))
}

/** From the row up to the root, the row first. */
export function lineage({ rows }: Waterfall, row: Row | undefined): Row[] {
  const parent = row && rows.find(({ spanId }) => spanId === row.parentSpanId)
  return row ? [row, ...lineage({ rows } as Waterfall, parent)] : []
}
