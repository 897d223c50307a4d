/**
 * A headless Chromium with the built extension, to whose service worker nothing is attached: it dies when it is idle, as
 * a person's does. See browser.ts for all that needs no such death. Whether the worker runs is told by the browser, in
 * a page's session, which does not keep it alive: one with nothing to do is gone after 30 seconds.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHROMIUM_FLAGS, EXTENSION_DIR } from './browser.ts'
import { closeOnSignal } from './closing.ts'
import { DevToolsPage } from './devtools-page.ts'
import { DevToolsPipe } from './devtools-pipe.ts'
import { pageAt } from './postings.ts'
import { endGroup } from './process-group.ts'

/** From one start of the worker to its end, epoch milliseconds as seen from here. */
export interface WorkerLife {
  startedAt: number
  endedAt?: number
}

export interface UnwatchedBrowser {
  extensionId: string
  /** The worker's lives so far, the one that it is living last. */
  lives: readonly WorkerLife[]
  /** Resolves once that many lives have begun, and once that many have ended; rejects after a minute. */
  begun(lives: number): Promise<void>
  ended(lives: number): Promise<void>
  /** Whether a debugger is attached to the worker; undefined when none runs. */
  isWorkerWatched(): Promise<boolean | undefined>
  /** When the running worker was started, epoch milliseconds by its own clock. Asking it attaches to it: ask last. */
  workerStartedAt(): Promise<number>
  /** Opens a page of the extension, e.g. `options/options.html`. */
  openExtensionPage(path: string): Promise<DevToolsPage>
  /** A page of the extension that something else has opened; waits for it. */
  openedExtensionPage(path: string): Promise<DevToolsPage>
  /** Visits a bundled posting at its own address, in a tab that is handed nothing but bundled pages. */
  openPosting(url: string): Promise<DevToolsPage>
  /** Clicks the extension's toolbar button on a tab: opens its popup and grants it that tab (`activeTab`). */
  openPopup(tab: DevToolsPage): Promise<DevToolsPage>
  close(): Promise<void>
}

interface TargetInfo {
  targetId: string
  type: string
  url: string
  attached: boolean
}

const WAIT_MS = 30_000
/** Twice as long as the browser lets a worker be idle. */
const LIFE_MS = 60_000

/** Starts the browser with an empty profile, which `close` removes. Throws when the extension cannot be loaded. */
export async function launchUnwatchedBrowser(
  executablePath: string,
  extensionDir = EXTENSION_DIR,
): Promise<UnwatchedBrowser> {
  const userDataDir = await mkdtemp(join(tmpdir(), 'pass-ats-browser-'))
  const program = spawn(
    executablePath,
    [`--user-data-dir=${userDataDir}`, ...CHROMIUM_FLAGS, '--remote-debugging-pipe', 'about:blank'],
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      // A group of its own, so that its end takes every process of it along.
      detached: true,
    },
  )
  const started = once(program, 'spawn')
  const pipe = new DevToolsPipe(program)
  const close = async () => {
    forget()
    await pipe.send('Browser.close').catch(() => undefined)
    await endGroup(program)
    await rm(userDataDir, { recursive: true, force: true, maxRetries: 5 })
  }
  const forget = closeOnSignal(close)
  try {
    await started
    return { ...(await withExtension(pipe, extensionDir)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function withExtension(pipe: DevToolsPipe, extensionDir: string): Promise<Omit<UnwatchedBrowser, 'close'>> {
  const targets = new Targets(pipe)
  await targets.discover()
  const first = await targets.find(({ type }) => type === 'page')
  const onlooker = await DevToolsPage.attach(pipe, first.targetId)
  const worker = new WorkerLives(onlooker)
  // Never Target.setAutoAttach, by which every worker would be attached to as well.
  await onlooker.send('ServiceWorker.enable')
  const { id } = await pipe.send<{ id: string }>('Extensions.loadUnpacked', { path: extensionDir })
  const urlOf = (path: string) => `chrome-extension://${id}/${path}`
  const newTab = async () => {
    const { targetId } = await pipe.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
    return DevToolsPage.attach(pipe, targetId)
  }
  const opened = async (path: string) => {
    const { targetId } = await targets.find(({ type, url }) => type === 'page' && url.startsWith(urlOf(path)))
    return DevToolsPage.attach(pipe, targetId)
  }
  return {
    extensionId: id,
    lives: worker.lives,
    begun: (lives) => worker.until(() => worker.lives.length >= lives),
    ended: (lives) => worker.until(() => worker.lives.filter(({ endedAt }) => endedAt !== undefined).length >= lives),
    isWorkerWatched: async () => (await targets.now()).find(({ type }) => type === 'service_worker')?.attached,
    workerStartedAt: async () => {
      const { targetId } = await targets.find(({ type }) => type === 'service_worker')
      return (await DevToolsPage.attach(pipe, targetId)).evaluate('performance.timeOrigin')
    },
    openExtensionPage: async (path) => {
      const tab = await newTab()
      await navigate(tab, urlOf(path))
      return tab
    },
    openedExtensionPage: opened,
    openPosting: async (url) => {
      const tab = await newTab()
      tab.on<Paused>('Fetch.requestPaused', (paused) => void answer(tab, paused))
      await tab.send('Fetch.enable', { patterns: [{ urlPattern: '*' }] })
      await navigate(tab, url)
      return tab
    },
    openPopup: async (tab) => {
      await tab.send('Page.bringToFront')
      const url = await tab.evaluate('location.href')
      const { targetId } = await targets.find((target) => target.type === 'tab' && target.url === url)
      await pipe.send('Extensions.triggerAction', { id, targetId })
      const popup = await opened('popup/')
      // Quicker than any hand: a click before the page has drawn itself would be lost.
      await popup.waitFor('document.body.dataset.status')
      return popup
    },
  }
}

/** What the browser shows, by the protocol's name for it. */
class Targets {
  readonly #pipe: DevToolsPipe
  readonly #waiting = new Set<() => void>()

  constructor(pipe: DevToolsPipe) {
    this.#pipe = pipe
    const look = () => {
      for (const again of this.#waiting) again()
    }
    pipe.on('Target.targetCreated', look)
    pipe.on('Target.targetInfoChanged', look)
  }

  /** Has the browser tell of every change, and attach to nothing. */
  async discover(): Promise<void> {
    await this.#pipe.send('Target.setDiscoverTargets', { discover: true, filter: [{}] })
  }

  async now(): Promise<TargetInfo[]> {
    // The default filter leaves tabs out.
    return (await this.#pipe.send<{ targetInfos: TargetInfo[] }>('Target.getTargets', { filter: [{}] })).targetInfos
  }

  /** Waits for one that is meant. */
  async find(meant: (target: TargetInfo) => boolean): Promise<TargetInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<TargetInfo>()
    const look = () =>
      this.now().then((targets) => {
        const found = targets.find(meant)
        if (found) resolve(found)
      }, reject)
    const late = setTimeout(() => reject(new Error('The browser did not show it.')), WAIT_MS)
    this.#waiting.add(look)
    try {
      await look()
      return await promise
    } finally {
      clearTimeout(late)
      this.#waiting.delete(look)
    }
  }
}

/** The extension's worker, the only one here, as the browser reports it. */
class WorkerLives {
  readonly lives: WorkerLife[] = []
  readonly #waiting = new Set<() => void>()

  constructor(onlooker: DevToolsPage) {
    onlooker.on<{ versions: { runningStatus: string }[] }>('ServiceWorker.workerVersionUpdated', ({ versions }) => {
      for (const { runningStatus } of versions) this.#is(runningStatus)
    })
  }

  #is(status: string): void {
    const life = this.lives.at(-1)
    const alive = life !== undefined && life.endedAt === undefined
    if (status === 'stopped' && alive) life.endedAt = Date.now()
    if (status !== 'stopped' && !alive) this.lives.push({ startedAt: Date.now() })
    for (const look of this.#waiting) look()
  }

  async until(isSo: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => {
      if (isSo()) resolve()
    }
    const late = setTimeout(() => reject(new Error(`The worker has lived ${JSON.stringify(this.lives)}`)), LIFE_MS)
    this.#waiting.add(look)
    look()
    try {
      await promise
    } finally {
      clearTimeout(late)
      this.#waiting.delete(look)
    }
  }
}

interface Paused {
  requestId: string
  request: { url: string }
}

async function answer(tab: DevToolsPage, { requestId, request }: Paused): Promise<void> {
  const page = pageAt(request.url)
  const type = page ? 'text/html; charset=utf-8' : 'text/plain'
  const response = {
    requestId,
    responseCode: page ? 200 : 404,
    responseHeaders: [{ name: 'content-type', value: type }],
    body: (page ?? Buffer.from('no such page')).toString('base64'),
  }
  // The request may be gone with its tab by now.
  await tab.send('Fetch.fulfillRequest', response).catch(() => undefined)
}

async function navigate(tab: DevToolsPage, url: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  tab.on('Page.loadEventFired', () => resolve())
  await tab.send('Page.enable')
  const { errorText } = await tab.send<{ errorText?: string }>('Page.navigate', { url })
  if (errorText) throw new Error(`${url}: ${errorText}`)
  await promise
}
