/** The end of a browser: of its first process and of every other that this one has started. */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const END_MS = 10_000

/**
 * Gives a process that was started `detached`, and so leads a group, a while to end, and then makes it. Returns when it
 * is gone and its group with it.
 */
export async function endGroup(leader: ChildProcess): Promise<void> {
  if (leader.exitCode === null && leader.signalCode === null && leader.pid) {
    const gone = once(leader, 'exit')
    const force = setTimeout(() => killGroup(leader), END_MS)
    await gone
    clearTimeout(force)
  }
  killGroup(leader)
}

/** SIGKILL to all that are left in the group. */
export function killGroup({ pid }: ChildProcess): void {
  if (!pid) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}
