/** One run as a person makes it: a posting in a tab, the popup from the toolbar, Generate, the PDF. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type AboutRunMessage, REPORT_RUN } from '../extension/messages.ts'
import type { RunState } from '../extension/run-state.ts'
import { ATTR_HTTP_RESPONSE_STATUS_CODE, ATTR_URL_FULL } from '../names.ts'
import { layOut, type Waterfall } from '../relay/console/waterfall.ts'
import type { TracesData } from '../relay/otlp.ts'
import { type Browser, launchBrowser } from './browser.ts'
import { urlOf } from './postings.ts'
import { asSupport } from './support.ts'

const PROFILE = new URL('../fixtures/profiles/long.json', import.meta.url)
const POSTING = 'json-ld-graph.html'
/** Longest wait for a run to end, and then for its last spans to arrive, milliseconds. */
const RUN_MS = 120_000
const TRACE_MS = 20_000
const OUR_PATHS = /\/(generate$|runs\/)/

export interface Demonstration {
  traceId: string
  pdfPath: string
  pages: number
  spans: number
  services: string[]
  durationMs: number
  links: { trace: string; api: string; pdf: string }
}

/**
 * Makes the run against a relay and puts the delivered PDF into `distDir`. Throws an Error with the failure's words
 * and the trace's link when the run fails, or when its trace does not become whole.
 */
export async function demonstrate(options: {
  relayUrl: string
  chromium: string
  distDir: string
}): Promise<{ demonstration: Demonstration; waterfall: Waterfall }> {
  const browser = await launchBrowser(options.chromium)
  try {
    await saveSettings(browser, options.relayUrl, JSON.parse(await readFile(PROFILE, 'utf8')))
    const run = await generate(browser, POSTING)
    const trace = `${options.relayUrl}/support/${run.id}`
    if (!run.pdf) throw new Error(`${run.failure?.message} ${run.failure?.advice}\n  Its trace: ${trace}`)
    await report(browser, run.id)
    const waterfall = await wholeTrace(options.relayUrl, run.id)
    const pdfPath = await keepPdf(browser, run.id, options.distDir)
    return {
      waterfall,
      demonstration: {
        traceId: run.id,
        pdfPath,
        pages: run.pdf.pages,
        spans: waterfall.rows.length,
        services: waterfall.services,
        durationMs: Math.round(waterfall.root?.durationMs ?? 0),
        // Not the relay’s: that one opens for the browser which made the run, and for nobody else.
        links: { trace, api: `${options.relayUrl}/api/traces/${run.id}`, pdf: pathToFileURL(pdfPath).href },
      },
    }
  } finally {
    await browser.close()
  }
}

/** Puts a profile and the relay's address where the options page puts them. */
export async function saveSettings(browser: Browser, relayUrl: string, profile?: unknown): Promise<void> {
  await browser.worker.evaluate((settings) => chrome.storage.local.set(settings), {
    relayUrl,
    ...(profile ? { profile } : {}),
  })
}

/** Opens a bundled posting, presses Generate in the popup, and waits for the run's end, whichever it is. */
export async function generate(browser: Browser, posting: string): Promise<RunState> {
  const page = await browser.context.newPage()
  await page.goto(urlOf(posting))
  const popup = await browser.openPopup(page)
  const before = await newestRun(browser)
  await popup.click('generate')
  const run = await endOfRun(browser, before?.id)
  await popup.close()
  await page.close()
  return run
}

/** The newest run as the extension's storage tells it, ended or not. */
export async function newestRun(browser: Browser): Promise<RunState | undefined> {
  const { run } = await browser.worker.evaluate(() => chrome.storage.local.get('run'))
  return run as RunState | undefined
}

/** The newest run once it has ended; `before` is the ID of an earlier one that is not meant. */
export function endOfRun(browser: Browser, before?: string): Promise<RunState> {
  return browser.worker.evaluate(
    async ({ before, timeoutMs }) => {
      const { promise, resolve, reject } = Promise.withResolvers<RunState>()
      const look = async () => {
        const { run } = (await chrome.storage.local.get('run')) as { run?: RunState }
        if (run && run.id !== before && run.status !== 'running') resolve(run)
      }
      chrome.storage.onChanged.addListener(look)
      const late = setTimeout(() => reject(new Error('The run did not end in time.')), timeoutMs)
      try {
        await look()
        return await promise
      } finally {
        clearTimeout(late)
        chrome.storage.onChanged.removeListener(look)
      }
    },
    { before, timeoutMs: RUN_MS },
  )
}

/** Reports a run as the popup's button does: the browser sends its part of the trace, which it otherwise holds. */
export async function report(browser: Browser, runId: string): Promise<void> {
  const page = await browser.openExtensionPage('resume/resume.html')
  try {
    const message = { type: REPORT_RUN, payload: { runId } } satisfies AboutRunMessage
    await page.evaluate((message) => chrome.runtime.sendMessage(message), message)
  } finally {
    await page.close()
  }
}

/** The trace, once the browser's part is there and no span's parent is missing. */
export async function wholeTrace(relayUrl: string, traceId: string): Promise<Waterfall> {
  const deadline = Date.now() + TRACE_MS
  for (;;) {
    const response = await fetch(`${relayUrl}/api/traces/${traceId}`, { headers: asSupport(relayUrl) })
    if (response.ok) {
      const waterfall = layOut((await response.json()) as TracesData)
      // Every hop is recorded at both ends: an answered call to one of ours without its server span is still on its way.
      const taken = new Set(waterfall.rows.map(({ parentSpanId }) => parentSpanId))
      const open = waterfall.rows.filter(
        ({ spanId, kind, attributes }) =>
          kind === 'client' &&
          OUR_PATHS.test(String(attributes[ATTR_URL_FULL])) &&
          attributes[ATTR_HTTP_RESPONSE_STATUS_CODE] !== undefined &&
          !taken.has(spanId),
      )
      if (waterfall.root && waterfall.missingParents.length === 0 && open.length === 0) return waterfall
    } else {
      await response.body?.cancel()
    }
    if (Date.now() > deadline) throw new Error(`The trace ${traceId} did not become whole at ${relayUrl}.`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** The PDF as it lies in the browser. Throws when it does not. */
export async function deliveredPdf(browser: Browser, runId: string): Promise<Uint8Array> {
  const base64 = await browser.worker.evaluate(async (id) => {
    const stored = await (await caches.open('resumes')).match(`https://resume.invalid/${id}`)
    return (await stored?.bytes())?.toBase64()
  }, runId)
  if (!base64) throw new Error('The PDF is not in the browser.')
  return Buffer.from(base64, 'base64')
}

async function keepPdf(browser: Browser, runId: string, distDir: string): Promise<string> {
  await mkdir(distDir, { recursive: true })
  const path = join(distDir, `${runId}.pdf`)
  await writeFile(path, await deliveredPdf(browser, runId))
  return path
}
