/**
 * A page of the extension in Firefox, worked with the mouse. The popup is no browsing context of WebDriver BiDi: it is
 * looked into from another page of the extension (`extension.getViews`) and pressed through the browser's window.
 */

import { element, pressPoint, untilTrue, visibleText } from './document-expression.ts'
import type { WebDriverBiDi } from './webdriver-bidi.ts'

/** Longest wait for something on a page, milliseconds. */
const TIMEOUT_MS = 30_000

interface Point {
  x: number
  y: number
}

export class FirefoxPage {
  /** Evaluates an expression in the page, where `document` is its document; a promise is awaited. */
  readonly evaluate: <T>(expression: string) => Promise<T>
  readonly #press: (point: Point) => Promise<void>

  constructor(evaluate: <T>(expression: string) => Promise<T>, press: (point: Point) => Promise<void>) {
    this.evaluate = evaluate
    this.#press = press
  }

  /** Waits until the expression is truthy, re-evaluated at every change of the document, and gives its value. */
  async waitFor<T>(expression: string): Promise<T> {
    return this.evaluate<T>(untilTrue(expression, TIMEOUT_MS))
  }

  /** Waits until the element is there, visible and has text, and gives the text. */
  async waitForText(testId: string): Promise<string> {
    return this.waitFor(visibleText(testId))
  }

  /** Replaces what a field holds. */
  async fill(testId: string, text: string): Promise<void> {
    await this.evaluate(`(e => {
      e.value = ${JSON.stringify(text)}
      e.dispatchEvent(new InputEvent('input', { bubbles: true }))
    })(${element(testId)})`)
  }

  /** Presses the mouse on the element, as a hand would. Waits until it is there and enabled. */
  async click(testId: string): Promise<void> {
    await this.#press(await this.waitFor(pressPoint(testId)))
  }
}

/** The page in a tab. */
export function tabPage(bidi: WebDriverBiDi, tab: string): FirefoxPage {
  return new FirefoxPage(
    (expression) => bidi.evaluate(tab, expression),
    async ({ x, y }) => {
      const actions = [
        { type: 'pointerMove', x: Math.round(x), y: Math.round(y) },
        { type: 'pointerDown', button: 0 },
        { type: 'pointerUp', button: 0 },
      ]
      await bidi.send('input.performActions', { context: tab, actions: [{ type: 'pointer', id: 'mouse', actions }] })
    },
  )
}

/** Presses the toolbar's button and gives its popup, which is looked into from `tab`, a page of the extension. */
export async function popupPage(bidi: WebDriverBiDi, window: string, tab: string): Promise<FirefoxPage> {
  // BiDi's own mouse stays out of the browser's window; this one is as trusted by what it hits.
  const press = (box: string, { x, y }: Point) =>
    bidi.evaluate<void>(
      window,
      `(async () => {
        const box = ${box}.getBoundingClientRect()
        for (const type of ['mousemove', 'mousedown', 'mouseup'])
          window.synthesizeMouseEvent(type, box.x + ${x}, box.y + ${y}, { button: 0, clickCount: 1 }, {})
      })()`,
    )
  const shown = bidi.evaluate(
    window,
    `new Promise((resolve) => addEventListener('popupshown', function look({ target }) {
      if (!target.querySelector(${JSON.stringify(POPUP)})) return
      removeEventListener('popupshown', look)
      resolve(true)
    }))`,
  )
  await Promise.all([
    shown,
    press(`document.querySelector('toolbarbutton.webextension-browser-action')`, { x: 12, y: 12 }),
  ])
  // The panel is there before the page in it is known as a view.
  await bidi.evaluate(
    tab,
    `new Promise((resolve) => {
      const look = () => (browser.extension.getViews({ type: 'popup' })[0] ? resolve(true) : setTimeout(look, 10))
      look()
    })`,
  )
  const popup = new FirefoxPage(
    (expression) =>
      bidi.evaluate(tab, `(({ document }) => ${expression})(browser.extension.getViews({ type: 'popup' })[0])`),
    (point) => press(`document.querySelector(${JSON.stringify(POPUP)})`, point),
  )
  await popup.waitFor('document.body.dataset.status')
  return popup
}

const POPUP = '.webextension-popup-browser'
