/** Redis, for the tests of what more than one server or relay has in common: found, or unpacked from Debian's packages. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { onPath } from './program.ts'
import type { Progress } from './progress.ts'
import { unpackedPrograms, type Wanted } from './unpacked.ts'

const DEBIANS: Wanted = {
  ...{ what: 'Redis', name: 'redis', version: 1, megabytes: 2, programs: ['usr/bin/redis-server'] },
  // The program is in `redis-tools`, under another name; the others are what a small system lacks of what it is linked with.
  packages: ['redis-server', 'redis-tools', 'libatomic1', 'libjemalloc2', 'liblzf1', 'libssl3', 'libsystemd0'],
  why: 'testing what several servers and relays have in common',
  fix: 'put redis-server or valkey-server on PATH',
}

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

/** `redis-server` or `valkey-server` of PATH, or Debian's. Throws SetupError when there is none. */
export async function redisProgram(now: (busy: string) => void = () => {}): Promise<RedisProgram> {
  const path = await onPath('redis-server', 'valkey-server')
  if (path) return { path, env: {} }
  const folder = await unpackedPrograms(DEBIANS, now)
  const libraries = join(folder, 'usr', 'lib')
  const folders = (await readdir(libraries)).map((name) => join(libraries, name))
  return { path: join(folder, 'usr', 'bin', 'redis-server'), env: { LD_LIBRARY_PATH: folders.join(':') } }
}
