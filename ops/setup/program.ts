/** Programs of this machine: where they are, and running one to its end. Always a list of arguments, never a shell line. */

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** First of these programs on PATH, or undefined. */
export async function onPath(...names: string[]): Promise<string | undefined> {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
      // npm puts node_modules/.bin first; what lies there is a wrapper of ours, never the program looked for.
      if (folder.endsWith(join('node_modules', '.bin'))) continue
      const path = join(folder, name)
      if (await isExecutable(path)) return path
    }
  }
  return undefined
}

/** Whether this path is a program that may be run. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Runs a program to its end and gives what it printed. Throws with its standard error when it fails. */
export async function output(
  program: string,
  args: string[],
  { cwd, env, timeout = 15 * 60_000 }: { cwd?: string; env?: NodeJS.ProcessEnv; timeout?: number } = {},
): Promise<string> {
  try {
    const limits = { timeout, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const
    return (await execute(program, args, { cwd, env: env ?? process.env, ...limits })).stdout
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    throw new Error(`${program} failed: ${stderr?.trim() || message}`, { cause: error })
  }
}
