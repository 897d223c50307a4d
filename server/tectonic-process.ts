/** One Tectonic process from start to end: its time, memory and words, and a certain end. Judges nothing. */

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import type { Precedence } from './precedence.ts'
import type { Command } from './sandbox.ts'

const SAMPLE_EVERY_MS = 5
const MAX_OUTPUT = 256 * 1024 // what is kept of it; a page's worth of log is 4 kB
/** Reading it takes this process's time, so TeX does not get to print for as long as it may run. */
const FLOOD = 16 * 1024 * 1024

export interface Ended {
  /** Exit code; undefined when a signal ended it. */
  code: number | undefined
  signal: number | undefined
  pid: number | undefined
  /** False when bubblewrap itself failed and Tectonic was never run. */
  started: boolean
  timedOut: boolean
  aborted: boolean
  /** Ended because it printed without end. */
  flooded: boolean
  wallSeconds: number
  cpuSeconds: number | undefined
  peakMemoryBytes: number | undefined
  stdout: string
  stderr: string
}

/**
 * Runs a command to its end, which comes at the latest after `timeoutMs` or on abort. With `after` it stands still while
 * others go first, and that time does not count. Throws when it can't be spawned.
 */
export function runToEnd(
  { file, args, env, sandboxed, filter }: Command,
  {
    cwd,
    timeoutMs,
    after,
    signal,
  }: { cwd: string; timeoutMs: number; after?: Precedence | undefined; signal?: AbortSignal | undefined },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    // A process group of its own: Ctrl-C in the server's terminal is the server's to act on, not Tectonic's.
    const child = spawn(file, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', filter ? 'pipe' : 'ignore'],
    })
    // Before anything else: out of file descriptors, a child comes back without pipes, and says why in this event.
    child.on('error', reject)
    if (!child.stdio) return
    const [, out, err, status] = child.stdio as unknown as [null, Readable, Readable, Readable]
    // Gone before it has read it, it tells why itself.
    ;(child.stdio[4] as Writable | null | undefined)?.on('error', () => {}).end(filter)
    const stdout = keep(out, () => flood())
    const stderr = keep(err, () => flood())
    const usage = { cpuSeconds: undefined as number | undefined, peakMemoryBytes: undefined as number | undefined }
    let pid = sandboxed ? undefined : child.pid
    let timedOut = false
    let aborted = false
    let flooded = false

    const statusLines = keep(status)
    status.on('data', () => {
      const told = statusLines().match(/"child-pid":\s*(\d+)/)?.[1]
      if (!sandboxed || !told) return
      pid = Number(told)
      if (still) tell(pid, 'SIGSTOP')
    })
    // wait4() on bubblewrap knows nothing of the process inside, so it is looked at while it runs.
    const sampler = setInterval(() => pid && sample(pid, usage), SAMPLE_EVERY_MS)
    const kill = () => {
      // The group first; the process inside the sandbox is in another, and would go a moment later by itself.
      for (const each of [child.pid && -child.pid, pid]) if (each) tell(each, 'SIGKILL')
    }
    let still = false
    let leftMs = timeoutMs
    let movingSince = performance.now()
    let timer: NodeJS.Timeout | undefined
    const move = () => {
      movingSince = performance.now()
      timer = setTimeout(() => {
        timedOut = true
        kill()
      }, leftMs)
    }
    move()
    const forget = after?.after((stand) => {
      if (stand === still) return
      still = stand
      // bubblewrap is left alone: it only waits.
      if (pid) tell(pid, still ? 'SIGSTOP' : 'SIGCONT')
      if (!still) return move()
      clearTimeout(timer)
      leftMs -= performance.now() - movingSince
    })
    const flood = () => {
      flooded = true
      kill()
    }
    const abort = () => {
      aborted = true
      kill()
    }
    signal?.addEventListener('abort', abort, { once: true })
    const cleanUp = () => {
      clearInterval(sampler)
      clearTimeout(timer)
      forget?.()
      signal?.removeEventListener('abort', abort)
    }
    child.on('error', cleanUp)
    child.on('close', (exitCode, signalName) => {
      cleanUp()
      // bubblewrap tells of a signal inside as a shell would: 128 + its number.
      const inside = sandboxed && exitCode !== null && exitCode > 128 ? exitCode - 128 : undefined
      resolve({
        code: inside ? undefined : (exitCode ?? undefined),
        signal: inside ?? (signalName ? constants.signals[signalName] : undefined),
        pid,
        started: pid !== undefined,
        timedOut,
        aborted,
        flooded,
        wallSeconds: (performance.now() - startedAt) / 1000,
        ...usage,
        stdout: stdout(),
        stderr: stderr(),
      })
    })
    if (signal?.aborted) abort()
  })
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // gone already
  }
}

// Synchronous on purpose: /proc is memory, a read takes 20 µs, and an asynchronous one would come back to a dead process.
function sample(pid: number, usage: { cpuSeconds: number | undefined; peakMemoryBytes: number | undefined }): void {
  try {
    const nanoseconds = Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0])
    const peak = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmHWM:\s+(\d+) kB$/m)?.[1]
    usage.cpuSeconds = nanoseconds / 1e9
    if (peak) usage.peakMemoryBytes = Number(peak) * 1024
  } catch {
    // ended meanwhile, or a system without /proc
  }
}

/** Reads a stream to its end and keeps the beginning and the end of it: what is dropped is the middle. */
function keep(stream: Readable, onFlood: () => void = () => {}): () => string {
  let head = ''
  let tail = ''
  let length = 0
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    length += chunk.length
    if (length > FLOOD) onFlood()
    if (head.length < MAX_OUTPUT / 2) head += chunk
    else tail = (tail + chunk).slice(-MAX_OUTPUT / 2)
  })
  return () => head + tail
}
