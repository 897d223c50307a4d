/** The writing thread as the rest of the relay sees it: calls and answers. */
import { Worker } from 'node:worker_threads'
import type { Answers, Call, Told, WriterOptions } from './writer.ts'

/** The store cannot write or read now (disk full, locked, too much waiting, no answer). Asking again later may succeed. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable'
  /** After how many milliseconds, where that is known. */
  readonly afterMs: number | undefined
  /** Whether it is only that too much is asked of it. */
  readonly tooMuch: boolean

  constructor(message: string, { cause, afterMs, tooMuch = false }: Why = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.afterMs = afterMs
    this.tooMuch = tooMuch
  }
}
interface Why {
  cause?: unknown
  afterMs?: number | undefined
  tooMuch?: boolean
}

/** What the writer tells by itself. */
export type Notice = Exclude<Told, { kind: 'answer' | 'failure' }>

const YOUNG_MB = 6

interface Waiting {
  resolve: (value: never) => void
  reject: (error: Error) => void
}

/** The thread starts with the first call, and again after it has died. */
export function createWriter(options: WriterOptions, onNotice: (notice: Notice) => void) {
  let worker: Worker | undefined
  let closed = false
  let lastId = 0
  const waiting = new Map<number, Waiting>()

  function start(): Worker {
    const started = new Worker(new URL('./writer.ts', import.meta.url), {
      workerData: options,
      // Not those of the process: they would start telemetry once more.
      execArgv: [],
      // What it is sent is written and forgotten: with the default, 48, it would hold on to so much of it.
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    })
    started.on('message', (told: Told) => {
      if (told.kind !== 'answer' && told.kind !== 'failure') return onNotice(told)
      const call = waiting.get(told.id)
      waiting.delete(told.id)
      if (told.kind === 'answer') call?.resolve(told.value as never)
      else call?.reject(new StoreUnavailable(told.message))
    })
    started.on('error', (cause) => abandon(started, cause))
    started.on('exit', () => abandon(started))
    return started
  }

  function abandon(gone: Worker, cause?: unknown): void {
    if (worker !== gone) return
    worker = undefined
    for (const { reject } of waiting.values()) reject(new StoreUnavailable('The writer has died.', { cause }))
    waiting.clear()
  }

  /** Throws {@link StoreUnavailable} with SQLite's words; then nothing was written. */
  function ask<C extends Call>(call: C): Promise<Answers[C['kind']]> {
    if (closed) return Promise.reject(new StoreUnavailable('The store is closed.'))
    worker ??= start()
    lastId += 1
    const id = lastId
    const answer = new Promise<Answers[C['kind']]>((resolve, reject) => waiting.set(id, { resolve, reject }))
    worker.postMessage({ id, call })
    return answer
  }

  return {
    ask,
    isClosed: () => closed,
    /** Finishes what was asked for before and ends the thread. Safe to call twice; never throws. */
    async close(): Promise<void> {
      if (closed) return
      const last = worker && ask({ kind: 'close' })
      closed = true
      await last?.catch(() => {})
      await worker?.terminate()
    },
  }
}
