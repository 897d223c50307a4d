/** A process on a core of its own, and what it has used: Linux says so in /proc. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { closeOnSignal } from '../ops/closing.ts'
import { cpuSeconds } from './held.ts'

export interface PinnedProcess {
  child: ChildProcess
  /** All of its threads, so far, seconds: those of the process and what the system did for it. */
  cpuSeconds(): number
  /** The most memory it has held so far, bytes. */
  peakBytes(): number
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>
}

/** Whether processes can be given a core; without one they share all of them, and their caches. */
export const canPin = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0
const CORE = String(availableParallelism() - 1)

export async function startPinned(
  command: string[],
  { env, cwd, logPath }: { env: Record<string, string>; cwd: string; logPath: string },
): Promise<PinnedProcess> {
  const [file = '', ...rest] = canPin ? ['taskset', '-c', CORE, ...command] : command
  const log = await open(logPath, 'a')
  const child = spawn(file, rest, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    detached: true,
  })
  await log.close()
  const exited = once(child, 'exit')
  const proc = (name: string) => readFileSync(`/proc/${child.pid}/${name}`, 'utf8')
  const stop = async () => {
    forget()
    child.kill('SIGTERM')
    await exited
  }
  const forget = closeOnSignal(stop)
  return {
    child,
    cpuSeconds: () => cpuSeconds(child.pid ?? 0),
    peakBytes: () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(proc('status'))?.[1]) * 1024,
    stop,
  }
}
