/** nginx, for the tests and benches that have more than one relay or server: found, or unpacked from Debian's packages. */

import { join } from 'node:path'
import { onPath } from './program.ts'
import type { Progress } from './progress.ts'
import { unpackedPrograms, type Wanted } from './unpacked.ts'

/** What it is linked with is on every Debian. */
const DEBIANS: Wanted = {
  ...{ what: 'nginx', name: 'nginx', packages: ['nginx'], version: 1, megabytes: 0.5, programs: ['usr/sbin/nginx'] },
  why: 'testing what stands in front of more than one relay',
  fix: 'put nginx on PATH',
}

/** Finds or makes it, and says so. Throws SetupError when it cannot be had here. */
export async function findNginx(progress: Progress): Promise<string> {
  return progress.step('nginx', async (now) => {
    const value = await nginxProgram(now)
    return { value, shown: value }
  })
}

/** Path of the `nginx` of PATH, or of Debian's. Throws SetupError when there is none. */
export async function nginxProgram(now: (busy: string) => void = () => {}): Promise<string> {
  return (await onPath('nginx')) ?? join(await unpackedPrograms(DEBIANS, now), 'usr/sbin/nginx')
}
