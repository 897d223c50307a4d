/** A tab or popup of a browser that is driven over {@link DevToolsPipe}, worked with the mouse. */

import type { DevToolsPipe } from './devtools-pipe.ts'
import { pressPoint, untilTrue, visibleText } from './document-expression.ts'

interface Evaluated {
  result: { value: unknown }
  exceptionDetails?: { text: string; exception?: { description?: string } }
}

/** Longest wait for something on a page, milliseconds. */
const TIMEOUT_MS = 30_000

export class DevToolsPage {
  readonly targetId: string
  readonly #pipe: DevToolsPipe
  readonly #sessionId: string

  private constructor(pipe: DevToolsPipe, targetId: string, sessionId: string) {
    this.#pipe = pipe
    this.targetId = targetId
    this.#sessionId = sessionId
  }

  static async attach(pipe: DevToolsPipe, targetId: string): Promise<DevToolsPage> {
    const { sessionId } = await pipe.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
    return new DevToolsPage(pipe, targetId, sessionId)
  }

  async send<T = void>(method: string, params: object = {}): Promise<T> {
    return this.#pipe.send<T>(method, params, this.#sessionId)
  }

  /** Calls the listener with the parameters of each event of this name that comes from the page. */
  on<T>(method: string, listener: (params: T) => void): void {
    this.#pipe.on(method, (params, sessionId) => {
      if (sessionId === this.#sessionId) listener(params)
    })
  }

  /** Evaluates an expression in the page; a promise is awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send<Evaluated>('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value as T
  }

  /**
   * Waits until the expression is truthy, re-evaluated at every change of the document and in every document that
   * takes its place, and gives its value.
   */
  async waitFor<T>(expression: string): Promise<T> {
    const deadline = Date.now() + TIMEOUT_MS
    for (;;) {
      try {
        return await this.evaluate<T>(untilTrue(expression, deadline - Date.now()))
      } catch (error) {
        if (!(error instanceof Error && /context was destroyed/.test(error.message)) || Date.now() > deadline)
          throw error
      }
    }
  }

  /** Waits until the element is there, visible and has text, and gives the text. */
  async waitForText(testId: string): Promise<string> {
    return this.waitFor(visibleText(testId))
  }

  /** Presses the mouse on the element, as a hand would. Waits until it is there and enabled. */
  async click(testId: string): Promise<void> {
    const { x, y } = await this.waitFor<{ x: number; y: number }>(pressPoint(testId))
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
    }
  }

  /** Closes it, and returns when it is gone from the browser. */
  async close(): Promise<void> {
    await this.#pipe.send('Target.closeTarget', { targetId: this.targetId })
  }
}
