/** What a process holds: Linux says so in /proc. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'

const TICKS_A_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

export interface HeldByProcess {
  residentMiB: number
  /** Everything open that is no socket: files, pipes, what the event loop waits with. */
  files: number
  sockets: number
  threads: number
  /** Processes that its threads have started and that are still there. */
  children: number
}

/** Throws when the process is gone. */
export async function heldBy(pid: number): Promise<HeldByProcess> {
  const of = (path: string) => `/proc/${pid}/${path}`
  const links = await Promise.all(
    (await readdir(of('fd'))).map((fd) => readlink(of(`fd/${fd}`)).catch(() => undefined)),
  )
  const open = links.filter((link) => link !== undefined)
  const tasks = await readdir(of('task'))
  const children = await Promise.all(tasks.map((task) => readFile(of(`task/${task}/children`), 'utf8').catch(() => '')))
  return {
    residentMiB: await residentMiB(pid),
    files: open.filter((link) => !link.startsWith('socket:')).length,
    sockets: open.filter((link) => link.startsWith('socket:')).length,
    threads: tasks.length,
    children: children.flatMap((pids) => pids.split(' ').filter(Boolean)).length,
  }
}

/** Memory that is really there. Throws when the process is gone. */
export async function residentMiB(pid: number): Promise<number> {
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(resident) / 1_024)
}

/** Processor time of all its threads so far, seconds: theirs and what the system did for them. Throws when it is gone. */
export function cpuSeconds(pid: number): number {
  // The second field is the name, which may have spaces; user and system time are the 14th and 15th.
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 13)
  return (Number(user) + Number(system)) / TICKS_A_SECOND
}
