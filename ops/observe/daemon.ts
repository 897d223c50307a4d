/** Prometheus and Alertmanager as processes of ours: started, found listening, and stopped. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { closeOnSignal } from '../closing.ts'

export interface Daemon {
  /** Without a trailing slash. */
  url: string
  /** Has it read its configuration again. */
  reload(): void
  /** Asks it to end, after five seconds makes it, and waits until it is gone. */
  stop(): Promise<void>
}

const STOP_MS = 5_000
/** What it said last, for when it does not come up. */
const KEPT_LINES = 10

/** Starts a program that logs where it listens. Throws an Error with its last words when it ends before that. */
export async function startDaemon(program: string, args: string[], cwd?: string): Promise<Daemon> {
  // A terminal's Ctrl-C goes to the whole group; this one is stopped in its own order.
  const child = spawn(program, args, { ...(cwd && { cwd }), stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  const gone = once(child, 'close')
  const stop = async () => {
    forget()
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await gone
    clearTimeout(force)
  }
  const forget = closeOnSignal(stop)
  const words: string[] = []
  const listening = new Promise<string>((resolve) => {
    createInterface(child.stderr).on('line', (line) => {
      words.push(line)
      if (words.length > KEPT_LINES) words.shift()
      const [, address] = /msg="Listening on" address=(\S+)/.exec(line) ?? []
      if (address) resolve(address)
    })
  })
  const address = await Promise.race([listening, gone.then(() => undefined)])
  if (!address) {
    forget()
    throw new Error(`${program} did not start:\n${words.join('\n')}`)
  }
  return { url: `http://${address}`, reload: () => void child.kill('SIGHUP'), stop }
}
