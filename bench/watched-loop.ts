/** Event loops of other processes, and one with nothing to do beside them: how much of a pause is the machine's. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from '../ops/closing.ts'
import type { LoopDelay } from './loop-watch.ts'

/** Loaded into a process by `--import`, it makes {@link delayOf} work there. */
export const LOOP_WATCH = fileURLToPath(new URL('loop-watch.ts', import.meta.url))

/** The delays of a process's event loop since it was asked last, milliseconds. */
export async function delayOf(child: ChildProcess): Promise<LoopDelay> {
  const { promise, resolve } = Promise.withResolvers<LoopDelay>()
  const listen = (message: { type?: string; delay?: LoopDelay }) => {
    if (message.type === 'delay' && message.delay) resolve(message.delay)
  }
  child.on('message', listen)
  child.send({ type: 'delay' })
  const delay = await promise
  child.off('message', listen)
  return delay
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
