/**
 * A client of the DevTools protocol over the browser's own pipe, for what Playwright does of itself and must not be done:
 * it attaches to every worker, and a worker with a debugger attached is never taken for idle. The browser ends with the
 * pipe, so that none outlives a test that was cut off.
 */

import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

interface Message {
  id?: number
  result?: unknown
  error?: { message: string }
  method?: string
  params?: unknown
  sessionId?: string
}

/** Called with the parameters of an event, and the session it came in. */
export type Listener = (params: never, sessionId: string | undefined) => void

/** Longest wait for a command's answer, milliseconds: longer than anything that a page is asked to wait for. */
const TIMEOUT_MS = 60_000
const CLOSED = 'The browser closed the connection.'

export class DevToolsPipe {
  readonly #commands: Writable
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #listeners = new Map<string, Listener[]>()
  #lastId = 0
  #received = ''
  #closed = false

  /** Of a browser that was started with `--remote-debugging-pipe`, its file descriptors 3 and 4 being pipes. */
  constructor({ stdio }: ChildProcess) {
    this.#commands = stdio[3] as Writable
    // The browser may be gone before it has read everything; its answers' end says so.
    this.#commands.on('error', () => undefined)
    const answers = stdio[4] as Readable
    answers.setEncoding('utf8').on('data', (text: string) => this.#receive(text))
    answers.on('close', () => {
      this.#closed = true
      for (const { reject } of this.#pending.values()) reject(new Error(CLOSED))
      this.#pending.clear()
    })
  }

  /** Sends a command, to the browser or in a session, and gives its result. Throws an Error with the browser's words. */
  async send<T = void>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    if (this.#closed) throw new Error(CLOSED)
    const id = ++this.#lastId
    const waiting = Promise.withResolvers<unknown>()
    this.#pending.set(id, waiting)
    const late = setTimeout(() => waiting.reject(new Error(`No answer to ${method}`)), TIMEOUT_MS)
    try {
      this.#commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
      return (await waiting.promise) as T
    } finally {
      clearTimeout(late)
      this.#pending.delete(id)
    }
  }

  on(method: string, listener: Listener): void {
    this.#listeners.set(method, [...(this.#listeners.get(method) ?? []), listener])
  }

  #receive(text: string): void {
    const messages = (this.#received + text).split('\0')
    this.#received = messages.pop() ?? ''
    for (const message of messages) this.#take(JSON.parse(message) as Message)
  }

  #take({ id, result, error, method, params, sessionId }: Message): void {
    if (id === undefined) {
      for (const listener of this.#listeners.get(method ?? '') ?? []) listener(params as never, sessionId)
      return
    }
    const waiting = this.#pending.get(id)
    if (error) waiting?.reject(new Error(error.message))
    else waiting?.resolve(result)
  }
}
