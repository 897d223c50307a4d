/** nginx, for the tests and benches that have more than one relay or server: found, or unpacked from Debian's packages. */

import { join } from 'node:path'
import { made } from './cache.ts'
import { type Debian, debian, unpackPackages } from './debian.ts'
import { isExecutable, onPath } from './program.ts'
import { type Progress, SetupError } from './progress.ts'

/** What it is linked with is on every Debian. */
const PACKAGES = ['nginx']
/** Change whenever the code below would make another folder. */
const RECIPE_VERSION = 1

/** Finds or makes it, and says so. Throws SetupError when it cannot be had here. */
export async function findNginx(progress: Progress): Promise<string> {
  return progress.step('nginx', async (now) => {
    const value = await nginxProgram(now)
    return { value, shown: value }
  })
}

/**
 * Path of the `nginx` of PATH, or of Debian's, unpacked into the cache. Not installed: the package would start a service on
 * this machine that nobody asked for. Throws SetupError when there is none.
 */
export async function nginxProgram(now: (busy: string) => void = () => {}): Promise<string> {
  return (await onPath('nginx')) ?? unpacked(await debian(), now)
}

async function unpacked(system: Debian | undefined, now: (busy: string) => void): Promise<string> {
  const why = 'testing what stands in front of more than one relay'
  const fix = 'put nginx on PATH'
  if (!system) throw new SetupError('nginx was not found.', { why, fix })
  const recipe = { version: RECIPE_VERSION, packages: PACKAGES, release: system.codename, arch: process.arch }
  const folder = await made('nginx', recipe, async (into) => {
    now('unpacking Debian’s package (0.5 MB, once)')
    await unpackPackages(system, { release: system.codename, packages: PACKAGES, into, work: into })
  }).catch((cause) => {
    throw new SetupError('nginx could not be fetched.', { why, fix, cause })
  })
  const path = join(folder, 'usr', 'sbin', 'nginx')
  if (!(await isExecutable(path))) throw new SetupError(`${path} is missing or cannot be run.`, { why, fix })
  return path
}
