/**
 * The extension's popup as the toolbar opens it. Playwright does not attach to popups, and a popup opened as a tab
 * instead is not the real thing: it is its own active tab, and no click grants `activeTab`. So the button is pressed
 * over the debugging protocol (`Extensions.triggerAction`) and the popup is driven through a session of its own.
 */

import type { BrowserContext, CDPSession, Page } from '@playwright/test'
import { element, pressPoint, untilTrue, visibleText } from './document-expression.ts'

interface TargetInfo {
  targetId: string
  type: string
  url: string
}

interface Answer {
  id?: number
  result?: unknown
  error?: { message: string }
}

class PopupClosed extends Error {
  override readonly name = 'PopupClosed'
  override readonly message = 'The popup has closed.'
}

/** What the browser is told of a key: its number, and the character it types. */
const KEYS = {
  Enter: { windowsVirtualKeyCode: 13, text: '\r' },
  Escape: { windowsVirtualKeyCode: 27, text: '' },
  Tab: { windowsVirtualKeyCode: 9, text: '' },
}

/** Longest wait for something in the popup, milliseconds. */
const TIMEOUT_MS = 30_000

export class ToolbarPopup {
  readonly #session: CDPSession
  readonly #sessionId: string
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  #lastId = 0

  private constructor(session: CDPSession, sessionId: string) {
    this.#session = session
    this.#sessionId = sessionId
    session.on('Target.detachedFromTarget', (gone) => {
      if (gone.sessionId !== this.#sessionId) return
      for (const waiting of this.#pending.values()) waiting.reject(new PopupClosed())
      this.#pending.clear()
    })
    session.on('Target.receivedMessageFromTarget', ({ sessionId, message }) => {
      if (sessionId !== this.#sessionId) return
      const answer = JSON.parse(message) as Answer
      const waiting = answer.id === undefined ? undefined : this.#pending.get(answer.id)
      if (!waiting || answer.id === undefined) return
      this.#pending.delete(answer.id)
      if (answer.error) waiting.reject(new Error(answer.error.message))
      else waiting.resolve(answer.result)
    })
  }

  /** Brings the tab to the front, presses the button, and waits for the popup. */
  static async open(context: BrowserContext, extensionId: string, page: Page): Promise<ToolbarPopup> {
    const browser = context.browser()
    if (!browser) throw new Error('The browser is gone.')
    await page.bringToFront()
    const session = await browser.newBrowserCDPSession()
    // Playwright's types know only the default filter, which leaves tabs out.
    const targets = async (): Promise<TargetInfo[]> =>
      (await session.send('Target.getTargets', { filter: [{}] })).targetInfos
    const tab = (await targets()).find(({ type, url }) => type === 'tab' && url === page.url())
    if (!tab) throw new Error(`No tab shows ${page.url()}`)
    const send = session.send.bind(session) as (method: string, params: object) => Promise<unknown>
    await send('Extensions.triggerAction', { id: extensionId, targetId: tab.targetId })
    const prefix = `chrome-extension://${extensionId}/popup/`
    const deadline = Date.now() + TIMEOUT_MS
    for (;;) {
      const target = (await targets()).find(({ type, url }) => type === 'page' && url.startsWith(prefix))
      if (target) {
        const { sessionId } = await session.send('Target.attachToTarget', { targetId: target.targetId, flatten: false })
        const popup = new ToolbarPopup(session, sessionId)
        // Quicker than any hand: a click before the page has drawn itself would be lost.
        await popup.waitFor('document.body.dataset.status')
        return popup
      }
      if (Date.now() > deadline) throw new Error('The popup did not open.')
    }
  }

  async #send<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.#lastId
    const waiting = Promise.withResolvers<unknown>()
    this.#pending.set(id, waiting)
    const message = JSON.stringify({ id, method, params })
    const sent = this.#session.send('Target.sendMessageToTarget', { sessionId: this.#sessionId, message })
    sent.catch(() => waiting.reject(new PopupClosed()))
    return waiting.promise as Promise<T>
  }

  /** Evaluates an expression in the popup; a promise is awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send<{
      result: { value: T }
      exceptionDetails?: { text: string; exception?: { description?: string } }
    }>('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  /** Text of the element with this `data-testid`; undefined when it is absent or hidden. */
  async text(testId: string): Promise<string | undefined> {
    const text = await this.evaluate<string | null>(
      `(() => { const e = ${element(testId)}; return e && e.checkVisibility() ? e.innerText.trim() : null })()`,
    )
    return text ?? undefined
  }

  /** Waits until the expression is truthy, re-evaluated at every change of the document, and gives its value. */
  async waitFor<T>(expression: string): Promise<T> {
    return this.evaluate<T>(untilTrue(expression, TIMEOUT_MS))
  }

  /** Waits until the element is there, visible and has text, and gives the text. */
  async waitForText(testId: string): Promise<string> {
    return this.waitFor(visibleText(testId))
  }

  /** Presses the mouse on the element, as a hand would. Waits until it is there and enabled. */
  async click(testId: string): Promise<void> {
    const { x, y } = await this.waitFor<{ x: number; y: number }>(pressPoint(testId))
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.#send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
    }
  }

  /** Presses a key. */
  async press(key: keyof typeof KEYS): Promise<void> {
    const event = { key, code: key, ...KEYS[key] }
    try {
      for (const type of ['keyDown', 'keyUp']) await this.#send('Input.dispatchKeyEvent', { type, ...event })
    } catch (error) {
      // What the key did may have closed the popup, as opening a tab does.
      if (!(error instanceof PopupClosed)) throw error
    }
  }

  /** Closes it, as a click beside it does. */
  async close(): Promise<void> {
    await this.#send('Runtime.evaluate', { expression: 'setTimeout(() => window.close())' })
    await this.#session.detach()
  }
}
