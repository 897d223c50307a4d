/**
 * A client of WebDriver BiDi over Node's own WebSocket. Not Playwright, whose Firefox is a build of its own and loads
 * no extensions; not Selenium or Puppeteer for a handful of commands.
 */

interface Message {
  id?: number
  type: 'success' | 'error' | 'event'
  result?: unknown
  error?: string
  message?: string
  method?: string
  params?: unknown
}

type Evaluated =
  | { type: 'success'; result: { value?: string } }
  | { type: 'exception'; exceptionDetails: { text: string } }

/** Longest wait for a command's answer, milliseconds: longer than anything that a page is asked to wait for. */
const TIMEOUT_MS = 60_000

export class WebDriverBiDi {
  readonly #socket: WebSocket
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #listeners = new Map<string, (params: never) => void>()
  #lastId = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(data) as Message))
    socket.addEventListener('close', () => {
      for (const { reject } of this.#pending.values()) reject(new Error('The browser closed the connection.'))
      this.#pending.clear()
    })
  }

  /** Connects to the address that the browser names at its start and opens the session. */
  static async connect(url: string): Promise<WebDriverBiDi> {
    const socket = new WebSocket(`${url}/session`)
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve())
      socket.addEventListener('error', () => reject(new Error(`No WebDriver BiDi at ${url}`)))
    })
    const bidi = new WebDriverBiDi(socket)
    await bidi.send('session.new', { capabilities: {} })
    return bidi
  }

  /** Sends a command and gives its result. Throws an Error with the browser's words. */
  async send<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.#lastId
    const waiting = Promise.withResolvers<unknown>()
    this.#pending.set(id, waiting)
    const late = setTimeout(() => waiting.reject(new Error(`No answer to ${method}`)), TIMEOUT_MS)
    try {
      this.#socket.send(JSON.stringify({ id, method, params }))
      return (await waiting.promise) as T
    } finally {
      clearTimeout(late)
      this.#pending.delete(id)
    }
  }

  /** Evaluates an expression, whose value must be JSON, in a tab or window; a promise is awaited. */
  async evaluate<T>(context: string, expression: string): Promise<T> {
    const evaluated = await this.send<Evaluated>('script.evaluate', {
      // Text both ways: BiDi's own form of objects is one to be taken apart again.
      expression: `(async () => JSON.stringify(await (${expression})) ?? 'null')()`,
      target: { context },
      awaitPromise: true,
    })
    if (evaluated.type === 'exception') throw new Error(`${evaluated.exceptionDetails.text} in: ${expression}`)
    return JSON.parse(evaluated.result.value ?? 'null') as T
  }

  /** Calls the listener with the parameters of each event of this name; one listener a name. */
  on<T>(method: string, listener: (params: T) => void): void {
    this.#listeners.set(method, listener)
  }

  close(): void {
    this.#socket.close()
  }

  #receive({ id, type, result, error, message, method, params }: Message): void {
    if (type === 'event') {
      this.#listeners.get(method ?? '')?.(params as never)
      return
    }
    const waiting = this.#pending.get(id ?? 0)
    if (type === 'error') waiting?.reject(new Error(`${error}: ${message}`))
    else waiting?.resolve(result)
  }
}
