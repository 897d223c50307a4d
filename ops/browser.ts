/** A headless Chromium with the built extension, used as a person would: postings in tabs, the popup from the toolbar. */

import { readFileSync } from 'node:fs'
import { mkdtemp, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, chromium, type Page, type Worker } from '@playwright/test'
import { closeOnSignal } from './closing.ts'
import { serveBundledPostings } from './postings.ts'
import { ToolbarPopup } from './toolbar-popup.ts'

/** Where `vite build` puts the extension, and where a person loads it from. */
export const EXTENSION_DIR = fileURLToPath(new URL('../extension/dist', import.meta.url))

/** What every Chromium here is started with, whoever drives it. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--headless=new',
  // Allows loading the extension and clicking its button by the debugging protocol; only throw-away profiles are concerned.
  '--enable-unsafe-extension-debugging',
  // A headless screen is 800 by 600, and a popup gets what room the screen leaves it.
  '--screen-info={1600x1200}',
  '--window-size=1400,1000',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  // Chromium refuses to sandbox itself for root, which containers usually are.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
]

/** A worker that lives answers in milliseconds. */
const ANSWER_MS = 2_000

export interface Browser {
  context: BrowserContext
  extensionId: string
  /** The service worker, for reading and writing the extension's storage. */
  worker: Worker
  /** Opens a page of the extension, e.g. `options/options.html`. */
  openExtensionPage(path: string): Promise<Page>
  /**
   * When the service worker that runs now, or is the next to, was started: epoch milliseconds, by its own clock.
   * Undefined when Playwright cannot tell: it may still hold one that has died.
   */
  workerStartedAt(): Promise<number | undefined>
  /** The browser's processes, by what they are for; `id` is the system's. */
  processes(): Promise<{ type: string; id: number; isExtension: boolean }[]>
  /** Stops the service worker, as the browser does with one that is idle. */
  stopWorker(): Promise<void>
  /** SIGKILL to the process of the extension's worker and pages, as when it crashes. */
  killExtensionProcess(): Promise<void>
  /** Installs the extension over itself, as an update does: its worker and pages go, its storage stays. */
  updateExtension(): Promise<void>
  /** SIGKILL to the whole browser. Its profile stays, for {@link launchBrowser}. */
  kill(): Promise<string>
  /** Clicks the extension's toolbar button on a tab: opens its popup and grants it that tab (`activeTab`). */
  openPopup(page: Page): Promise<ToolbarPopup>
  close(): Promise<void>
}

/**
 * Starts the browser with an empty profile, or one that a killed browser has left; `close` removes it. Its web is the
 * bundled postings. Throws when the extension is not built.
 */
export async function launchBrowser(
  executablePath: string,
  profile?: string,
  extensionDir = EXTENSION_DIR,
): Promise<Browser> {
  const userDataDir = profile ?? (await mkdtemp(join(tmpdir(), 'pass-ats-browser-')))
  const remove = () => rm(userDataDir, { recursive: true, force: true, maxRetries: 5 })
  const context = await chromium
    .launchPersistentContext(userDataDir, {
      executablePath,
      // Playwright's own headless mode is another program, which knows no extensions.
      headless: false,
      viewport: { width: 1280, height: 800 },
      // Signals are ours to act on, in our own order.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      args: [...CHROMIUM_FLAGS, `--disable-extensions-except=${extensionDir}`, `--load-extension=${extensionDir}`],
    })
    .catch(async (error) => {
      await remove()
      throw error
    })
  const close = async () => {
    forget()
    await context.close()
    await remove()
  }
  const forget = closeOnSignal(close)
  await serveBundledPostings(context)
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'))
  const extensionId = new URL(worker.url()).host
  return {
    context,
    extensionId,
    worker,
    openExtensionPage: async (path) => {
      const page = await context.newPage()
      await page.goto(`chrome-extension://${extensionId}/${path}`)
      return page
    },
    workerStartedAt: async () => {
      // Not `worker`: after the death of its process that handle answers no more, and others of the list may not either.
      const running = context.serviceWorkers().at(-1) ?? (await context.waitForEvent('serviceworker'))
      const answer = running.evaluate(() => performance.timeOrigin).catch(() => undefined)
      return Promise.race([answer, delay(ANSWER_MS, undefined, { ref: false })])
    },
    processes: () => processes(context),
    stopWorker: async () => {
      // Not a page of its own: that would take the front, and close an open popup.
      const [page] = context.pages()
      if (!page) throw new Error('No page is open.')
      const session = await context.newCDPSession(page)
      await session.send('ServiceWorker.enable')
      await session.send('ServiceWorker.stopAllWorkers')
      await session.detach()
    },
    killExtensionProcess: async () => {
      for (const { id, isExtension } of await processes(context)) if (isExtension) process.kill(id, 'SIGKILL')
    },
    updateExtension: async () => {
      const session = await context.browser()?.newBrowserCDPSession()
      const send = session?.send.bind(session) as (method: string, params: object) => Promise<unknown>
      // Not chrome.runtime.reload(): after that, Chromium leaves an unpacked extension disabled.
      await send('Extensions.loadUnpacked', { path: extensionDir })
      await session?.detach()
    },
    kill: async () => {
      forget()
      const browser = (await processes(context)).find(({ type }) => type === 'browser')
      const socket = await readlink(join(userDataDir, 'SingletonSocket'))
      const closed = context.waitForEvent('close')
      if (browser) process.kill(browser.id, 'SIGKILL')
      await closed
      // A folder of its own for one socket, which it only removes itself when it is let.
      await rm(dirname(socket), { recursive: true, force: true })
      return userDataDir
    },
    openPopup: (page) => ToolbarPopup.open(context, extensionId, page),
    close,
  }
}

async function processes(context: BrowserContext): ReturnType<Browser['processes']> {
  const session = await context.browser()?.newBrowserCDPSession()
  if (!session) throw new Error('The browser is gone.')
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  const isExtension = (id: number) => readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('--extension-process')
  return processInfo.map(({ type, id }) => ({ type, id, isExtension: type === 'renderer' && isExtension(id) }))
}
