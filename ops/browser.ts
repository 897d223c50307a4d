/** A headless Chromium with the built extension, used as a person would: postings in tabs, the popup from the toolbar. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, chromium, type Page, type Worker } from '@playwright/test'
import { closeOnSignal } from './closing.ts'
import { serveBundledPostings } from './postings.ts'
import { ToolbarPopup } from './toolbar-popup.ts'

/** Where `vite build` puts the extension, and where a person loads it from. */
export const EXTENSION_DIR = fileURLToPath(new URL('../extension/dist', import.meta.url))

export interface Browser {
  context: BrowserContext
  extensionId: string
  /** The service worker, for reading and writing the extension's storage. */
  worker: Worker
  /** Opens a page of the extension, e.g. `options/options.html`. */
  openExtensionPage(path: string): Promise<Page>
  /** Stops the service worker, as the browser does with one that is idle. */
  stopWorker(): Promise<void>
  /** Clicks the extension's toolbar button on a tab: opens its popup and grants it that tab (`activeTab`). */
  openPopup(page: Page): Promise<ToolbarPopup>
  close(): Promise<void>
}

/**
 * Starts the browser with an empty profile, which `close` removes; its web is the bundled postings. Throws when the
 * extension is not built.
 */
export async function launchBrowser(executablePath: string): Promise<Browser> {
  const userDataDir = await mkdtemp(join(tmpdir(), 'pass-ats-browser-'))
  const context = await chromium.launchPersistentContext(userDataDir, {
    executablePath,
    // Playwright's own headless mode is another program, which knows no extensions.
    headless: false,
    viewport: { width: 1280, height: 800 },
    // Signals are ours to act on, in our own order.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    args: [
      '--headless=new',
      `--disable-extensions-except=${EXTENSION_DIR}`,
      `--load-extension=${EXTENSION_DIR}`,
      // Allows a toolbar click over the debugging protocol; only this throw-away profile is concerned.
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
    ],
  })
  const close = async () => {
    forget()
    await context.close()
    await rm(userDataDir, { recursive: true, force: true, maxRetries: 5 })
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
    stopWorker: async () => {
      // Not a page of its own: that would take the front, and close an open popup.
      const [page] = context.pages()
      if (!page) throw new Error('No page is open.')
      const session = await context.newCDPSession(page)
      await session.send('ServiceWorker.enable')
      await session.send('ServiceWorker.stopAllWorkers')
      await session.detach()
    },
    openPopup: (page) => ToolbarPopup.open(context, extensionId, page),
    close,
  }
}
