/** A headless Firefox with the built extension, used as a person would: see browser.ts, which does it in Chromium. */

import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type FirefoxPage, popupPage, tabPage } from './firefox-page.ts'
import { pageAt } from './postings.ts'
import { endGroup, killGroup } from './process-group.ts'
import { WebDriverBiDi } from './webdriver-bidi.ts'

/** Where `vite build --mode firefox` puts the extension. */
export const FIREFOX_EXTENSION_DIR = fileURLToPath(new URL('../extension/dist-firefox', import.meta.url))

const START_MS = 30_000

const PREFERENCES = {
  // A proxy that nobody is: Firefox's own errands reach nothing. It leaves the loopback address out by itself.
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
  // A popup that slides into place would be missed by the mouse.
  'ui.prefersReducedMotion': 1,
}

export interface Firefox {
  /** Opens a page of the extension, e.g. `options/options.html`. */
  openExtensionPage(path: string): Promise<FirefoxPage>
  /** What the frame shows in a page of the extension that something else has opened; waits for both. */
  openedFrame(path: string): Promise<FirefoxPage>
  /** Visits a bundled posting at its own address, in a tab that is handed nothing but bundled pages. */
  openPosting(url: string): Promise<void>
  /** Presses the extension's button in the toolbar on the tab in front: opens its popup and grants it that tab. */
  openPopup(): Promise<FirefoxPage>
  close(): Promise<void>
}

/** Starts the browser with an empty profile, which `close` removes. Throws when the extension cannot be installed. */
export async function launchFirefox(executablePath: string): Promise<Firefox> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-firefox-'))
  const program = await start(executablePath, folder)
  // For a process that ends without having closed it.
  const atExit = () => {
    killGroup(program)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  process.once('exit', atExit)
  const close = async (bidi?: WebDriverBiDi) => {
    await bidi?.send('browser.close').catch(() => undefined)
    bidi?.close()
    await endGroup(program)
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    process.off('exit', atExit)
  }
  try {
    const bidi = await WebDriverBiDi.connect(await addressOf(program))
    return { ...(await withExtension(bidi)), close: () => close(bidi) }
  } catch (error) {
    await close()
    throw error
  }
}

async function withExtension(bidi: WebDriverBiDi): Promise<Omit<Firefox, 'close'>> {
  const { extension } = await bidi.send<{ extension: string }>('webExtension.install', {
    extensionData: { type: 'path', path: FIREFOX_EXTENSION_DIR },
  })
  const window = (await contexts(bidi, { 'moz:scope': 'chrome' }))[0]?.context ?? ''
  const host = await bidi.evaluate(
    window,
    `WebExtensionPolicy.getByID(${JSON.stringify(extension)}).mozExtensionHostname`,
  )
  const urlOf = (path: string) => `moz-extension://${host}/${path}`
  // "Pin to toolbar", as most people do: otherwise the button is one more click away, in the menu of extensions.
  await bidi.evaluate(
    window,
    `CustomizableUI.getWidgetIdsInArea('unified-extensions-area')
    .forEach((id) => CustomizableUI.addWidgetToArea(id, 'nav-bar'))`,
  )

  bidi.on<{ isBlocked: boolean; request: { request: string; url: string } }>('network.beforeRequestSent', (event) => {
    if (event.isBlocked) void answer(bidi, event.request)
  })
  let first: string | undefined
  return {
    openExtensionPage: async (path) => {
      const tab = await newTab(bidi)
      first ??= tab
      await bidi.send('browsingContext.navigate', { context: tab, url: urlOf(path), wait: 'complete' })
      return tabPage(bidi, tab)
    },
    openedFrame: async (path) => {
      const deadline = Date.now() + START_MS
      for (;;) {
        const opened = (await contexts(bidi)).find(({ url }) => url.startsWith(urlOf(path)))
        const frame = opened?.children?.find(({ url }) => url !== 'about:blank')
        if (frame) return tabPage(bidi, frame.context)
        if (Date.now() > deadline) throw new Error(`No tab shows ${path}, or its frame is empty.`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    openPosting: async (url) => {
      const tab = await newTab(bidi)
      await bidi.send('session.subscribe', { events: ['network.beforeRequestSent'], contexts: [tab] })
      await bidi.send('network.addIntercept', { phases: ['beforeRequestSent'], contexts: [tab] })
      await bidi.send('browsingContext.navigate', { context: tab, url, wait: 'complete' })
    },
    openPopup: async () => {
      if (!first) throw new Error('The popup is looked into from another page of the extension: open one first.')
      return popupPage(bidi, window, first)
    },
  }
}

interface Context {
  context: string
  url: string
  children?: Context[]
}

async function contexts(bidi: WebDriverBiDi, scope: object = {}): Promise<Context[]> {
  return (await bidi.send<{ contexts: Context[] }>('browsingContext.getTree', { maxDepth: 1, ...scope })).contexts
}

async function newTab(bidi: WebDriverBiDi): Promise<string> {
  return (await bidi.send<Context>('browsingContext.create', { type: 'tab' })).context
}

async function answer(bidi: WebDriverBiDi, { request, url }: { request: string; url: string }): Promise<void> {
  const page = pageAt(url)
  const type = page ? 'text/html; charset=utf-8' : 'text/plain'
  const response = {
    request,
    statusCode: page ? 200 : 404,
    headers: [{ name: 'content-type', value: { type: 'string', value: type } }],
    body: { type: 'base64', value: (page ?? Buffer.from('no such page')).toString('base64') },
  }
  // The request may be gone with its tab by now.
  await bidi.send('network.provideResponse', response).catch(() => undefined)
}

async function start(executablePath: string, folder: string): Promise<ChildProcess> {
  const profile = join(folder, 'profile')
  await mkdir(profile)
  const lines = Object.entries(PREFERENCES).map(
    (preference) => `user_pref(${JSON.stringify(preference).slice(1, -1)});`,
  )
  await writeFile(join(profile, 'user.js'), lines.join('\n'))
  const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port=0', 'about:blank']
  // The toolbar is the browser's own page; only this throw-away profile is concerned.
  const child = spawn(executablePath, ['--remote-allow-system-access', ...args], {
    // What it keeps beside the profile (settings daemon, caches, crash reports) goes where the profile goes.
    env: { ...process.env, HOME: folder, TMPDIR: folder, XDG_CACHE_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own, so that its end takes every process of it along.
    detached: true,
  })
  return child
}

/** Reads where it listens from what it says. Throws an Error with its words when it does not come up. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = () => reject(new Error(`Firefox did not start: ${said.trim()}`))
    const late = setTimeout(fail, START_MS)
    child.once('error', reject)
    child.once('exit', fail)
    child.stderr?.setEncoding('utf8').on('data', (words: string) => {
      said = (said + words).slice(-4_000)
      const address = /WebDriver BiDi listening on (ws:\S+)/.exec(said)?.[1]
      if (!address) return
      clearTimeout(late)
      resolve(address)
    })
  })
}
