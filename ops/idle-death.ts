/**
 * What it takes to see a worker die of idleness in the middle of a run. Left to itself it does not: the heartbeat of the
 * journal puts the browser's 30 seconds back to their beginning every 10, and the recovery alarm would every 30. An open
 * stream, or an open popup's connection, does not.
 */

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AboutRunMessage, REPORT_RUN } from '../extension/messages.ts'
import { EXTENSION_DIR } from './browser.ts'
import { closeOnSignal } from './closing.ts'
import type { DevToolsPage } from './devtools-page.ts'
import { urlOf } from './postings.ts'
import type { UnwatchedBrowser } from './unwatched-browser.ts'

export interface SleepyExtension {
  folder: string
  remove(): Promise<void>
}

/** A copy of the built extension, the same but for one thing: its worker has no heartbeat, its only interval. */
export async function makeSleepyExtension(): Promise<SleepyExtension> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-sleepy-'))
  const remove = async () => {
    forget()
    await rm(folder, { recursive: true, force: true })
  }
  const forget = closeOnSignal(remove)
  await cp(EXTENSION_DIR, folder, { recursive: true })
  const path = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  const imports = ['./no-intervals.js', `./${manifest.background.service_worker}`]
  await writeFile(join(folder, 'no-intervals.js'), 'globalThis.setInterval = () => 0\n')
  await writeFile(join(folder, 'sleepy.js'), imports.map((file) => `import '${file}'\n`).join(''))
  manifest.background.service_worker = 'sleepy.js'
  await writeFile(path, JSON.stringify(manifest))
  return { folder, remove }
}

/** Sets the extension's alarms to ring once, that many seconds from now; asked in any page of it. */
export async function setAlarms(page: DevToolsPage, seconds: number): Promise<void> {
  await page.evaluate(`chrome.alarms.getAll().then((alarms) =>
    Promise.all(alarms.map(({ name }) => chrome.alarms.create(name, { when: Date.now() + ${seconds * 1_000} }))))`)
}

export interface AskingRun {
  id: string
  tab: DevToolsPage
  /** Open still. */
  popup: DevToolsPage
}

/** Saves the settings, visits a bundled posting, presses Generate, and returns when it is the model's turn. */
export async function runUntilModel(
  browser: UnwatchedBrowser,
  settings: { relayUrl: string; profile: unknown },
): Promise<AskingRun> {
  const options = await browser.openExtensionPage('options/options.html')
  await options.evaluate(`chrome.storage.local.set(${JSON.stringify(settings)})`)
  await options.close()
  const tab = await browser.openPosting(urlOf('lever.html'))
  const popup = await browser.openPopup(tab)
  await popup.click('generate')
  await popup.waitFor(`document.querySelector('[data-step="llm"][data-state="now"]')?.dataset.step`)
  const id = await popup.evaluate<string>(`document.querySelector('[data-testid="run-id"]').title`)
  return { id, tab, popup }
}

/** Waits until the popup shows the PDF, opens it from there, and gives the first bytes of what the tab shows. */
export async function openedPdf(browser: UnwatchedBrowser, popup: DevToolsPage, id: string): Promise<string> {
  await popup.waitForText('open-pdf')
  await popup.click('open-pdf')
  const tab = await browser.openedExtensionPage(`resume/resume.html#${id}`)
  const address = await tab.waitFor<string>(
    `document.title.endsWith('.pdf') && document.querySelector('[data-testid="pdf"]').src`,
  )
  return tab.evaluate(`fetch(${JSON.stringify(address)}).then((pdf) => pdf.text()).then((text) => text.slice(0, 5))`)
}

/** Reports the run as the popup's button does, so that the browser sends its part of the trace. */
export async function reportRun(browser: UnwatchedBrowser, runId: string): Promise<void> {
  const page = await browser.openExtensionPage('options/options.html')
  const message = { type: REPORT_RUN, payload: { runId } } satisfies AboutRunMessage
  await page.evaluate(`chrome.runtime.sendMessage(${JSON.stringify(message)})`)
  await page.close()
}
