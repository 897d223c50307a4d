/** One tool of those that come with the packages, in the person's terminal: for the commands that run the tests. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeOnSignal, isClosing } from './closing.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/**
 * The tool's exit code, 1 if a signal ended it. After Ctrl-C this never returns: the process is about to end, and nobody
 * is to take what was cut off for a result.
 */
export async function runTool([tool = '', ...args]: string[], env: Record<string, string>): Promise<number> {
  const running = spawn(join(ROOT, 'node_modules', '.bin', tool), args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  const exited = once(running, 'exit')
  const forget = closeOnSignal(() => {
    // A terminal's Ctrl-C has reached it already; it cleans up after itself.
    running.kill('SIGTERM')
    return exited
  })
  const [code] = (await exited) as [number | null]
  forget()
  if (isClosing()) await new Promise(() => {})
  return code ?? 1
}
