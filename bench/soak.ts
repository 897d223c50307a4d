/**
 * Hours in one: people, services, staff and synthetic checks at work on one stack while things fail around it, and
 * whether memory, handles, processes and storage stay where they are.
 */

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { startBackend, TAKEN } from '../fixtures/relay/backend.ts'
import { wireTo } from '../fixtures/relay/wire.ts'
import { launchBrowser } from '../ops/browser.ts'
import { closeOnSignal } from '../ops/closing.ts'
import { saveSettings } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { freePort } from '../ops/free-port.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { startChecks } from '../ops/synthetics/running.ts'
import type { Report } from '../ops/synthetics/verdict.ts'
import type { Measured, Target } from './bench.ts'
import { heldBy } from './held.ts'
import { rounded } from './median.ts'
import { startMixedLoad } from './mixed-load.ts'
import { faultsAround, type Happened, inTurn, kills } from './soak-faults.ts'
import { watchGrowth } from './soak-watch.ts'
import { atMost, none } from './target.ts'
import type { Trend } from './trend.ts'
import { LOOP_WATCH } from './watched-loop.ts'

const MINUTE_MS = 60_000
/** Of the time, before anything is measured: in its first half processes are killed, in its second caches fill again. */
const WARM_UP = 1 / 3
/** By the relay's clock, in the whole time: its files go by hours, and none would in one. */
const RELAY_HOURS = 40
const MAX_STORE_BYTES = 64 * 1024 ** 2
const STORE = {
  RELAY_RETENTION_HOURS: '6',
  RELAY_KEPT_HOURS: '8',
  RELAY_STORE_MAX_BYTES: String(MAX_STORE_BYTES),
}
/** Short, so that what is silent is given up within its fault. */
const PATIENCE = { LLM_IDLE_TIMEOUT_MS: '2000', LLM_TIMEOUT_MS: '10000', OTEL_EXPORTER_OTLP_TIMEOUT: '2000' }
const TOKENS = { LLM_DAILY_TOKENS_INSTALL: '1000000000', LLM_DAILY_TOKENS_OVERALL: '1000000000' }
/** The browser's quota for the extension. */
const EXTENSION_BYTES = 10 * 1024 ** 2
/** In an hour, of what is held: more would be felt within a day. */
const MAX_GROWTH = 0.1
const MAX_MORE_AN_HOUR = 2
/** A breaker may still be open for so long after what was wrong. */
const AFTER_FAULT_MS = 35_000
const CATCH_UP_MS = 90_000
const CHECK_EVERY_S = 30
/** A check's own start, on a busy machine. */
const CHECK_STARTS_MS = 5_000

/** For so many minutes. */
export async function benchSoak(minutes: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const chromium = await findChromium(progress)
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-soak-'))
  const remove = () => rm(temporary, { recursive: true, force: true })
  const forget = closeOnSignal(remove)
  const dataDir = join(temporary, 'data')
  const model = await startOpenAiEndpoint('ok')
  const backend = await startBackend(() => TAKEN)
  const serverPort = await freePort()
  const between = await wireTo(`http://127.0.0.1:${serverPort}`)
  const stack = await startTemporaryStack({
    ...{ toolchainPath: toolchainPath(), dataDir, distDir: join(dataDir, 'dist') },
    ...{ serverPort, via: { server: between.url } },
    env: {
      ...{ ...STORE, ...PATIENCE, ...TOKENS, TMPDIR: temporary, NODE_OPTIONS: `--import=${LOOP_WATCH}` },
      ...{
        LLM_BASE_URL: model.baseUrl,
        LLM_MODEL: 'm-1',
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${backend.url}/v1/traces`,
      },
    },
  })
  const entrance = await wireTo(stack.relayUrl)
  const browser = await launchBrowser(chromium)
  const checks = startChecks(stack, { everySeconds: CHECK_EVERY_S, temporary }, '--via', 'http')
  try {
    const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8'))
    await saveSettings(browser, entrance.url, profile)
    const load = await startMixedLoad(stack, entrance.url, browser)
    const wholeMs = minutes * MINUTE_MS
    // One that has just been killed hears nothing, and nobody minds.
    const tick = () => stack.relay.connected && stack.relay.send({ type: 'hour' }, () => {})
    const clock = setInterval(tick, wholeMs / RELAY_HOURS)
    const happened: Happened[] = []
    const faults = faultsAround({ model, backend, entrance, between })
    await inTurn([...kills(stack), ...faults.slice(0, 4)], (wholeMs * WARM_UP) / 2, happened)
    await inTurn(faults, (wholeMs * WARM_UP) / 2, happened)
    const [relay, server] = [stack.relay, stack.server]
    // Those of a server that was killed stay for an hour.
    const orphaned = await jobsIn(temporary)
    const watch = watchGrowth(stack, browser, load, dataDir)
    await inTurn(faults, wholeMs * (1 - WARM_UP), happened)
    const { trends, bytesPerRun } = await watch.stop()
    clearInterval(clock)
    await load.stop()
    await checks.stop()
    const died = [relay, server].filter(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
    const forward = await caughtUp(stack)
    const left = {
      children: (await heldBy(stack.server.pid ?? 0)).children,
      jobs: (await jobsIn(temporary)).difference(orphaned).size,
    }
    const isQuiet = (at: number, ms: number) =>
      !happened.some(({ from, to }) => at > from && at - ms < to + AFTER_FAULT_MS)
    const failed = checks.reports.filter(({ report }) => !report.ok)
    const falsely = failed.filter(({ report, at }) => isQuiet(at, lastedMs(report)))
    const { counts } = load
    return {
      results: {
        ...{ minutes, measuredMinutes: rounded(minutes * (1 - WARM_UP)), relayHours: RELAY_HOURS },
        bounds: { ...STORE, extensionStorageBytes: EXTENSION_BYTES },
        faults: Object.fromEntries(
          [...Map.groupBy(happened, ({ name }) => name)].map(([name, of]) => [name, of.length]),
        ),
        load: Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => a.localeCompare(b))),
        checks: { runs: checks.reports.length, failedBesideFaults: failed.length - falsely.length },
        falsely: falsely.map(({ report }) => report),
        ...{ trends, bytesPerRun, forward, left },
      },
      targets: [
        ...growthTargets(trends),
        most(
          'the relay\u2019s store at most, of its limit',
          (trends.storeBytes?.most ?? Number.NaN) / MAX_STORE_BYTES,
          1,
        ),
        most(
          'the extension\u2019s storage at most, of its quota',
          (trends.extensionStorageBytes?.most ?? Number.NaN) / EXTENSION_BYTES,
          1,
        ),
        most(
          'bytes in dist/ for each PDF, second half of the time to first',
          bytesPerRun.second / bytesPerRun.first,
          1.1,
        ),
        none('runs without an end', counts['run: stuck'] ?? 0),
        none('visits with an extension that did not end, or not as they should', strange(counts)),
        none('spans that were answered for and not found right after', counts['look-up: missing'] ?? 0),
        none('due spans lost, or not forwarded in the end', forward.lost + forward.behind),
        none('checks that failed while nothing was wrong', falsely.length),
        none('relay and server dead without having been killed', died.length),
        none('processes and folders of compilations left', left.children + left.jobs),
      ],
    }
  } finally {
    await checks.stop()
    await browser.close()
    await stack.stop()
    await Promise.all([entrance.close(), between.close(), model.close(), backend.close()])
    await remove()
    forget()
  }
}

async function jobsIn(folder: string): Promise<Set<string>> {
  return new Set((await readdir(folder)).filter((name) => name.startsWith('pass-ats-compile-')))
}

/** Slopes are no more exact than that. */
const most = (claim: string, value: number, limit: number): Target => ({
  ...atMost(claim, value, limit),
  value: rounded(value),
})

function growthTargets(trends: Record<string, Trend>): Target[] {
  const part = (claim: string, name: string) => {
    const { perHour = Number.NaN, median = Number.NaN } = trends[name] ?? {}
    return most(`${claim}: growth an hour, of what it is`, perHour / median, MAX_GROWTH)
  }
  const count = (claim: string, name: string) =>
    most(`${claim}: more an hour`, trends[name]?.perHour ?? Number.NaN, MAX_MORE_AN_HOUR)
  return [
    part('what the relay holds without its rubbish', 'relayHeapMiB'),
    part('what the server holds without its rubbish', 'serverHeapMiB'),
    part('memory of the relay', 'relayMiB'),
    part('memory of the server', 'serverMiB'),
    part('memory of the extension\u2019s process', 'extensionMiB'),
    part('bytes of the relay\u2019s store', 'storeBytes'),
    part('bytes of the extension\u2019s storage', 'extensionStorageBytes'),
    ...['relay', 'server'].flatMap((who) =>
      ['Files', 'Sockets', 'Threads', 'Children'].map((what) =>
        count(`${what.toLowerCase()} of the ${who}`, who + what),
      ),
    ),
    count('processes of the browser', 'browserProcesses'),
  ]
}

/** Of the bench's own making are those that have another name than a failure's code. */
function strange(counts: Record<string, number>): number {
  const visits = Object.entries(counts).filter(([what]) => what.startsWith('visit: '))
  return visits.filter(([what]) => !/^visit: [a-z_]+$/.test(what)).reduce((sum, [, times]) => sum + times, 0)
}

/** What all attempts of a check may have taken. */
function lastedMs({ durations, attempts }: Report): number {
  return Object.values(durations).reduce((sum, each) => sum + each, 0) * attempts + CHECK_STARTS_MS
}

/** Waits until the forwarder has nothing more, and tells what it has lost. */
async function caughtUp(stack: Stack): Promise<{ lost: number; behind: number; forwarded: number }> {
  const deadline = Date.now() + CATCH_UP_MS
  for (;;) {
    const text = await (await fetch(stack.metricsUrls.relay)).text()
    const behind = Number(/^pass_relay_forward_behind(?:\{.*?\})? (\d+)/m.exec(text)?.[1])
    const { forward } = await (await fetch(`${stack.relayUrl}/readyz`)).json()
    if (behind === 0 || Date.now() > deadline) return { lost: forward.lost, behind, forwarded: forward.forwarded }
    await delay(500)
  }
}
