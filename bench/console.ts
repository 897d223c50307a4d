/** The console in Chromium: a look-up among millions of spans, from Enter to the painted page, and traces that are far too large. */

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Page } from '@playwright/test'
import { AS_STAFF, type RelayProcess, startRelay } from '../fixtures/relay/relay-process.ts'
import { RESOURCE_SERVICE_NAME, SERVICE_EXTENSION, SPAN_RUN } from '../names.ts'
import { closeOnSignal } from '../ops/closing.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { encode } from '../relay/otlp.ts'
import type { Measured } from './bench.ts'
import { fillStore } from './filled-store.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'

const MILLION = 1_000_000
const LOOK_UPS = 200
const WARM_UP = 20
/** Large traces, and how often each is opened. */
const LARGE = [1_000, 10_000]
const OPENINGS = 20

const run = promisify(execFile)

/** With `millions` of spans in 24 hours. */
export async function benchConsole(millions: number): Promise<Measured> {
  const executablePath = await findChromium(new Progress(process.stderr))
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-console-'))
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 })
  const forget = closeOnSignal(remove)
  let relay: RelayProcess | undefined
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
  try {
    const path = join(folder, 'store')
    const some = await fillStore(path, millions * MILLION, (hour) => process.stderr.write(`\r  hour ${hour} `))
    relay = await startRelay({ RELAY_STORE: path })
    const page = await browser.newPage()
    await signIn(page, relay.url)
    const lookUps = await lookUp(page, relay.url, some)
    const large: Record<string, { paintedMs: Spread; loadedMs: Spread }> = {}
    for (const spans of LARGE) large[spans] = await openLarge(page, relay, spans)
    return {
      results: { spans: millions * MILLION, lookUps: LOOK_UPS, ...lookUps, large },
      targets: [
        atMost(
          'an ID looked up in Chromium, from Enter to the painted page, p95, milliseconds',
          lookUps.browserMs.p95,
          150,
        ),
        ...LARGE.map((spans) =>
          atMost(
            `first paint of a trace of ${spans} spans, p95, milliseconds`,
            large[spans]?.paintedMs.p95 ?? Number.NaN,
            1_000,
          ),
        ),
      ],
    }
  } finally {
    process.stderr.write('\n')
    await browser.close()
    await relay?.stop()
    await remove()
    forget()
  }
}

type Spread = ReturnType<typeof spread>
const spread = (ms: readonly number[]) => ({
  p50: percentile(ms, 0.5),
  p95: percentile(ms, 0.95),
  max: percentile(ms, 1),
})

async function signIn(page: Page, url: string): Promise<void> {
  const answer = await fetch(`${url}/support/sign-in-links`, { method: 'POST', headers: AS_STAFF })
  const { path } = (await answer.json()) as { path: string }
  await page.goto(url + path)
}

/** In turn: the form in the browser, and the same page and the same trace by curl, a connection each. */
async function lookUp(page: Page, url: string, some: readonly string[]) {
  const [browserMs, pageMs, traceMs]: number[][] = [[], [], []]
  for (let index = 0; index < LOOK_UPS + WARM_UP; index++) {
    const id = some[Math.floor(Math.random() * some.length)] ?? ''
    await page.goto(`${url}/support`)
    await page.getByLabel('Trace ID').fill(id.slice(0, 12))
    await Promise.all([page.waitForURL(`**/support/${id.slice(0, 12)}`), page.keyboard.press('Enter')])
    const { paintedMs } = await timesOf(page)
    if ((await page.locator('.waterfall > li').count()) === 0) throw new Error(`A trace was not found: ${id}.`)
    if (index < WARM_UP) continue
    browserMs?.push(paintedMs)
    pageMs?.push(await curl(`${url}/support/${id}`))
    traceMs?.push(await curl(`${url}/api/traces/${id}`))
  }
  return {
    browserMs: spread(browserMs ?? []),
    curlMs: { page: spread(pageMs ?? []), trace: spread(traceMs ?? []) },
  }
}

/** From the navigation's start, redirect included: to the first paint with content, and to the end of loading. */
function timesOf(page: Page): Promise<{ paintedMs: number; loadedMs: number }> {
  return page.evaluate(async () => {
    const painted = await new Promise<number>((resolve) => {
      const observer = new PerformanceObserver((list) => {
        const first = list.getEntriesByName('first-contentful-paint')[0]
        if (first) resolve(first.startTime)
      })
      observer.observe({ type: 'paint', buffered: true })
    })
    if (document.readyState !== 'complete') {
      await new Promise((resolve) => addEventListener('load', resolve, { once: true }))
    }
    const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[]
    return { paintedMs: painted, loadedMs: navigation?.domComplete ?? Number.NaN }
  })
}

/** Milliseconds that curl takes for it. Throws when it is not answered with 200. */
async function curl(url: string): Promise<number> {
  const header = `authorization: ${AS_STAFF.authorization}`
  const { stdout } = await run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code} %{time_total}', '-H', header, url])
  const [status, seconds] = stdout.split(' ')
  if (status !== '200') throw new Error(`${url} was answered with ${status}.`)
  return Number(seconds) * 1_000
}

async function openLarge(page: Page, { url, send }: RelayProcess, spans: number) {
  const traceId = randomBytes(16).toString('hex')
  const status = await send(encode(largeTrace(traceId, spans), 'protobuf'))
  if (status !== 200) throw new Error(`A trace of ${spans} spans was answered with ${status}.`)
  const [painted, loaded]: number[][] = [[], []]
  for (let opening = 0; opening < OPENINGS; opening++) {
    await page.goto(`${url}/support/${traceId}`)
    const { paintedMs, loadedMs } = await timesOf(page)
    painted?.push(paintedMs)
    loaded?.push(loadedMs)
  }
  return { paintedMs: spread(painted ?? []), loadedMs: spread(loaded ?? []) }
}

/** A root with all others below it, in a tree of tens. */
function largeTrace(traceId: string, spans: number) {
  const began = BigInt(Date.now() - 60_000) * 1_000_000n
  const id = (n: number) => (n + 1).toString(16).padStart(16, '0')
  const all = Array.from({ length: spans }, (_, n) => ({
    ...{ traceId, spanId: id(n), name: n === 0 ? SPAN_RUN : `span ${n}`, kind: 1 },
    ...(n === 0 ? {} : { parentSpanId: id(Math.floor((n - 1) / 10)) }),
    startTimeUnixNano: String(began + BigInt(n) * 1_000_000n),
    endTimeUnixNano: String(began + BigInt(n === 0 ? spans : n + 1) * 1_000_000n),
  }))
  const attributes = [{ key: RESOURCE_SERVICE_NAME, value: { stringValue: SERVICE_EXTENSION } }]
  return { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: all }] }] }
}
