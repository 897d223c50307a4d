/**
 * Where set-up keeps what it made, outside the project: a fresh clone finds it again.
 *
 * Every made thing is a folder named after the recipe it was made by, so a changed recipe makes a new one and an old
 * checkout still finds its own. A folder is made under another name and renamed when it is whole: what bears the name
 * is finished. No lock: two set-ups at once both make it, and the first to finish wins.
 */

import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const UNFINISHED = '.making-'
const ABANDONED_AFTER_MS = 60 * 60 * 1000 // far longer than any step takes

/** The cache folder: PASS_ATS_CACHE, or pass-ats in XDG_CACHE_HOME or in ~/.cache. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return env.PASS_ATS_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pass-ats')
}

/** The folder made by this recipe, calling `make` to fill it when there is none yet. Throws what `make` throws. */
export async function made(name: string, recipe: unknown, make: (folder: string) => Promise<void>): Promise<string> {
  const root = cacheRoot()
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12)
  const finished = join(root, `${name}-${key}`)
  if (await isThere(finished)) return finished
  await inWorkFolder(async (work) => {
    const folder = join(work, name)
    await mkdir(folder)
    await make(folder)
    await rename(folder, finished).catch(async (error) => {
      if (!(await isThere(finished))) throw error
    })
  })
  return finished
}

/** Runs work in a folder of its own inside the cache (so that renaming out of it is atomic), and removes the folder. */
export async function inWorkFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const root = cacheRoot()
  await mkdir(root, { recursive: true })
  await removeAbandoned(root)
  const folder = join(root, `${UNFINISHED}${process.pid}-${Math.random().toString(36).slice(2, 10)}`)
  await mkdir(folder)
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

// A killed set-up cleans up nothing. By age and not by process ID: the cache may be shared between containers.
async function removeAbandoned(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(UNFINISHED)) continue
    const age = Date.now() - (await stat(join(root, name)).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs
    if (age > ABANDONED_AFTER_MS) await rm(join(root, name), { recursive: true, force: true })
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
