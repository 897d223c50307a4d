/** What a bench has measured last, kept in the tree: `bench/results/NAME.json`. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Measured } from './bench.ts'
import type { Load, Machine } from './machine.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = fileURLToPath(new URL('results/', import.meta.url))
/** What a bench writes itself, and what says nothing of what was measured. */
const BESIDE = [':!bench/results', ':!BENCHMARKS.md']

export interface StoredResult extends Measured {
  name: string
  /** How many it was asked for: see its `about`. */
  runs: number
  /** ISO 8601, UTC. */
  date: string
  /** Of the code that was measured; undefined outside a repository. */
  commit?: string
  /** There were changes that are in no commit. */
  changed?: boolean
  seconds: number
  machine: Machine
  load: { before: Load; after: Load }
}

/** By name. Throws when a file is no result. */
export function storedResults(): Map<string, StoredResult> {
  let files: string[] = []
  try {
    files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'))
  } catch {
    // Nothing has been measured yet.
  }
  return new Map(
    files.map((file) => {
      const result = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as StoredResult
      if (`${result.name}.json` !== file || !Array.isArray(result.targets) || !result.load || !result.machine) {
        throw new Error(`bench/results/${file} is no result of a bench. Delete it, and run that bench again.`)
      }
      return [result.name, result]
    }),
  )
}

/** In place of the one before. */
export async function storeResult(result: StoredResult): Promise<void> {
  await mkdir(FOLDER, { recursive: true })
  await writeFile(join(FOLDER, `${result.name}.json`), `${JSON.stringify(result, null, 2)}\n`)
}

/** What is checked out; empty where there is no repository. */
export function measuredCode(): Pick<StoredResult, 'commit' | 'changed'> {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const changed = git('status', '--porcelain', '--', '.', ...BESIDE) !== ''
    return { commit: git('rev-parse', '--short=12', 'HEAD'), ...(changed ? { changed } : {}) }
  } catch {
    return {}
  }
}
