/** Event loops of other processes, and one with nothing to do beside them: how much of a pause is the machine's. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from '../ops/closing.ts'
import type { Heap, LoopDelay } from './loop-watch.ts'

/** Loaded into a process by `--import`, it makes {@link delayOf} work there. */
export const LOOP_WATCH = fileURLToPath(new URL('loop-watch.ts', import.meta.url))

interface Answers {
  delay: LoopDelay
  heap: Heap
}

/** The delays of a process's event loop since it was asked last, milliseconds. */
export const delayOf = (child: ChildProcess): Promise<LoopDelay> => ask(child, 'delay')

/** What a process still holds when all rubbish is gone. */
export const heapOf = (child: ChildProcess): Promise<Heap> => ask(child, 'heap')

/** Rejects when the process ends before it has answered. */
async function ask<Type extends keyof Answers>(child: ChildProcess, type: Type): Promise<Answers[Type]> {
  const { promise, resolve, reject } = Promise.withResolvers<Answers[Type]>()
  const listen = (message: { type?: string } & { [T in keyof Answers]?: Answers[T] }) => {
    if (message.type === type) resolve(message[type] as Answers[Type])
  }
  const gone = () => reject(new Error('The process has ended.'))
  child.on('message', listen)
  child.on('exit', gone)
  try {
    child.send({ type }, (error) => error && reject(error))
    return await promise
  } finally {
    child.off('message', listen)
    child.off('exit', gone)
  }
}

export function startIdleProcess() {
  const child = fork(LOOP_WATCH, { execArgv: [], detached: true })
  const stop = async () => {
    forget()
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  const forget = closeOnSignal(stop)
  return { child, stop }
}
