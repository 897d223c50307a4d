/** A Redis of its own for one test: on a port of the system's choice, in a temporary folder, and gone with the test. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { closeOnSignal } from './closing.ts'
import { freePort } from './free-port.ts'
import { redisProgram } from './setup/redis.ts'

/** Somebody else may take the port between its choice and its use. */
const TRIES = 5

export interface RedisProcess {
  /** For REDIS_URL. */
  url: string
  pid(): number
  /** Ends it as `kill -9` does. What it had not written is gone. */
  kill(): Promise<void>
  /** Starts it again where it was, on the same port, with what it had written. */
  start(): Promise<void>
  /** Stops its clock, as a network that swallows everything would; and lets it go on. */
  freeze(): void
  thaw(): void
  /** Ends it, and removes its folder. */
  stop(): Promise<void>
}

/** Starts one. `settings` are its own options, such as `['--maxmemory', '8mb']`. Throws SetupError when there is none. */
export async function startRedis(settings: readonly string[] = []): Promise<RedisProcess> {
  const program = await redisProgram()
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-redis-'))
  let port = await freePort()
  const launch = async (): Promise<ChildProcess> => {
    const options = [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--daemonize', 'no'],
      // Every write is on disk before it is answered: what is killed comes back with all of it.
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'],
    ]
    const child = spawn(program.path, [...options, ...settings], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...program.env },
      detached: true,
    })
    await listening(child)
    return child
  }
  let child = await launch().catch(async (error) => {
    for (let tries = 1; tries < TRIES; tries++) {
      port = await freePort()
      const again = await launch().catch(() => undefined)
      if (again) return again
    }
    await rm(folder, { recursive: true })
    throw error
  })
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await gone
  }
  const stop = async () => {
    forget()
    await end('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  const forget = closeOnSignal(stop)
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: () => child.pid ?? 0,
    kill: () => end('SIGKILL'),
    start: async () => {
      child = await launch()
    },
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    stop,
  }
}

/** Resolves when it takes connections. Throws an Error with its last words when it ends before. */
async function listening(child: ChildProcess): Promise<void> {
  const said: string[] = []
  if (!child.stdout) throw new Error('Redis has no output.')
  for await (const line of createInterface(child.stdout)) {
    said.push(line)
    if (line.includes('Ready to accept connections')) {
      // Read on, or it would wait for a reader.
      child.stdout.resume()
      return
    }
  }
  throw new Error(`Redis did not start.\n${said.slice(-5).join('\n')}`)
}
