/** Redis, for the tests of what more than one server or relay has in common: found, or unpacked from Debian's packages. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { made } from './cache.ts'
import { type Debian, debian, unpackPackages } from './debian.ts'
import { isExecutable, onPath } from './program.ts'
import { type Progress, SetupError } from './progress.ts'

/** The program is in `redis-tools`, under another name; the others are what a small system lacks of what it is linked with. */
const PACKAGES = ['redis-server', 'redis-tools', 'libatomic1', 'libjemalloc2', 'liblzf1', 'libssl3', 'libsystemd0']
/** Change whenever the code below would make another folder. */
const RECIPE_VERSION = 1

export interface RedisProgram {
  path: string
  /** What its environment must have besides, where it matters. */
  env: Record<string, string>
}

/** Finds or makes it, and says so. Throws SetupError when it cannot be had here. */
export async function findRedis(progress: Progress): Promise<RedisProgram> {
  return progress.step('Redis', async (now) => {
    const value = await redisProgram(now)
    return { value, shown: value.path }
  })
}

/**
 * `redis-server` or `valkey-server` of PATH, or Debian's, unpacked into the cache. Not installed: the package would start a
 * service on this machine that nobody asked for. Throws SetupError when there is none.
 */
export async function redisProgram(now: (busy: string) => void = () => {}): Promise<RedisProgram> {
  const path = await onPath('redis-server', 'valkey-server')
  return path ? { path, env: {} } : unpacked(await debian(), now)
}

async function unpacked(system: Debian | undefined, now: (busy: string) => void): Promise<RedisProgram> {
  const why = 'testing what several servers and relays have in common'
  const fix = 'put redis-server or valkey-server on PATH'
  if (!system) throw new SetupError('Redis was not found.', { why, fix })
  const recipe = { version: RECIPE_VERSION, packages: PACKAGES, release: system.codename, arch: process.arch }
  const folder = await made('redis', recipe, async (into) => {
    now('unpacking Debian’s packages (2 MB, once)')
    await unpackPackages(system, { release: system.codename, packages: PACKAGES, into, work: into })
  }).catch((cause) => {
    throw new SetupError('Redis could not be fetched.', { why, fix, cause })
  })
  const path = join(folder, 'usr', 'bin', 'redis-server')
  if (!(await isExecutable(path))) throw new SetupError(`${path} is missing or cannot be run.`, { why, fix })
  const libraries = join(folder, 'usr', 'lib')
  const folders = (await readdir(libraries)).map((name) => join(libraries, name))
  return { path, env: { LD_LIBRARY_PATH: folders.join(':') } }
}
