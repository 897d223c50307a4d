/**
 * A model that is silent for 90 seconds, three times as long as the browser lets a worker be idle, and a worker that
 * nothing is attached to. What became of it and of its run: as the extension is built, and with what keeps its worker
 * awake taken away; with the popup closed until the answer is there, and with it open all the time.
 */

import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenAiEndpoint, startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { ATTR_WORKER_RESUMES } from '../names.ts'
import { wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { makeSleepyExtension, openedPdf, reportRun, runUntilModel, setAlarms } from '../ops/idle-death.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'
import { launchUnwatchedBrowser, type UnwatchedBrowser } from '../ops/unwatched-browser.ts'
import { spansOf, type TracesData } from '../relay/otlp.ts'
import type { Measured } from './bench.ts'
import { recoveryOf } from './recovery.ts'
import { none } from './target.ts'

const SILENCE_MS = 90_000
/** The server gives up on a model before that, by default. */
const PATIENCE_MS = String(2 * SILENCE_MS)
/** When the recovery alarm rings for a worker that must die first: at twice its usual time. */
const ALARM_S = 60

interface Case {
  worker: 'as built' | 'no heartbeat, late alarm'
  popup: 'closed' | 'open'
}

const CASES: readonly Case[] = [
  { worker: 'as built', popup: 'closed' },
  { worker: 'as built', popup: 'open' },
  { worker: 'no heartbeat, late alarm', popup: 'closed' },
  { worker: 'no heartbeat, late alarm', popup: 'open' },
]

interface Fate extends Case {
  /** Deaths during the silence. */
  deaths: number
  /** From the model's turn to the first of them, and from there to the next worker; milliseconds. */
  diedAfterMs?: number
  asleepMs?: number
  /** From the next worker's start, by its own clock, to the run going on; milliseconds. */
  bootMs?: number
  /** Whether a debugger was attached to the worker at the end of the silence. */
  watched: boolean
  /** Whether the popup showed the PDF, and the tab that it opens did. */
  pdf: boolean
  /** Whether the trace is whole, with as many resumes as deaths. */
  wholeTrace: boolean
}

/** Makes `rounds` rounds, in each of them every case at once. */
export async function benchIdle(rounds: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const chromium = await findChromium(progress)
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8'))
  const sleepy = await makeSleepyExtension()
  const fates: Fate[] = []
  try {
    for (let round = 0; round < rounds; round++) {
      const runOne = (one: Case) =>
        fateOf(one, chromium, profile, one.worker === 'as built' ? undefined : sleepy.folder)
      fates.push(...(await Promise.all(CASES.map(runOne))))
      process.stderr.write(`\r  ${round + 1} of ${rounds} `)
    }
  } finally {
    process.stderr.write('\n')
    await sleepy.remove()
  }
  return measuredFrom(fates)
}

async function fateOf(one: Case, chromium: string, profile: unknown, extension: string | undefined): Promise<Fate> {
  const endpoint = await startOpenAiEndpoint('held')
  const model = { LLM_BASE_URL: endpoint.baseUrl, LLM_TIMEOUT_MS: PATIENCE_MS, LLM_IDLE_TIMEOUT_MS: PATIENCE_MS }
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env: model })
  try {
    const browser = await launchUnwatchedBrowser(chromium, extension)
    try {
      return await runThroughSilence(one, browser, endpoint, { relayUrl: stack.relayUrl, profile })
    } finally {
      await browser.close()
    }
  } finally {
    await stack.stop()
    await endpoint.close()
  }
}

async function runThroughSilence(
  one: Case,
  browser: UnwatchedBrowser,
  endpoint: OpenAiEndpoint,
  settings: { relayUrl: string; profile: unknown },
): Promise<Fate> {
  const { id, tab, popup } = await runUntilModel(browser, settings)
  const askedAt = Date.now()
  if (one.worker !== 'as built') await setAlarms(popup, ALARM_S)
  if (one.popup === 'closed') await popup.close()
  await delay(SILENCE_MS)
  const watched = (await browser.isWorkerWatched()) ?? false
  const [first, second] = structuredClone(browser.lives)
  const deaths = browser.lives.filter(({ endedAt }) => endedAt !== undefined).length
  endpoint.release()
  const shown = one.popup === 'closed' ? await browser.openPopup(tab) : popup
  const pdf = (await openedPdf(browser, shown, id).catch(() => undefined)) === '%PDF-'
  await reportRun(browser, id)
  const trace = await wholeTrace(settings.relayUrl, id).catch(() => undefined)
  const data = (await (
    await fetch(`${settings.relayUrl}/api/traces/${id}`, { headers: asSupport(settings.relayUrl) })
  ).json()) as TracesData
  const root = [...spansOf(data)].find(({ spanId }) => spanId === trace?.root?.spanId)
  const { bootMs } = recoveryOf(root, await browser.workerStartedAt())
  const resumes = Number(trace?.root?.attributes[ATTR_WORKER_RESUMES] ?? 0)
  const diedAt = first?.endedAt
  return {
    ...one,
    deaths,
    ...(diedAt && { diedAfterMs: diedAt - askedAt }),
    ...(diedAt && second && { asleepMs: second.startedAt - diedAt }),
    ...(bootMs !== undefined && { bootMs: Math.round(bootMs) }),
    watched,
    pdf,
    wholeTrace: trace !== undefined && resumes === deaths,
  }
}

function measuredFrom(fates: Fate[]): Measured {
  const count = (isSo: (fate: Fate) => boolean) => fates.filter(isSo).length
  return {
    results: { silenceMs: SILENCE_MS, runs: fates.length, table: fates },
    targets: [
      none(
        'runs whose PDF the popup did not show after the silence',
        count(({ pdf }) => !pdf),
      ),
      none(
        'runs without a whole trace, with one resume for each death',
        count(({ wholeTrace }) => !wholeTrace),
      ),
      none(
        'runs whose worker had a debugger attached',
        count(({ watched }) => watched),
      ),
      none(
        'workers that died although heartbeat and alarm kept them awake',
        count(({ worker, deaths }) => worker === 'as built' && deaths > 0),
      ),
      none(
        'workers that nothing kept awake and that lived all the same',
        count(({ worker, deaths }) => worker !== 'as built' && deaths === 0),
      ),
    ],
  }
}
