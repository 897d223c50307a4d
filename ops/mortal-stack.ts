/** A stack whose server dies at a named place of its first run, and is started anew as a supervisor would. */

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toolchainPath } from './setup/toolchain.ts'
import { type Stack, startTemporaryStack } from './stack.ts'

const DIES_AT = fileURLToPath(new URL('../fixtures/server/dies-at.ts', import.meta.url))

/** The places where a server can die: its stages, the program in one of them, and the hand-over of what it has made. */
export const PLACES = ['llm', 'latex', 'compile', 'tectonic', 'validate', 'resume.pdf'] as const
export type Place = (typeof PLACES)[number]

/** Starts it. `died` resolves when the server has died and another one listens in its place. */
export async function startMortalStack(
  place: Place,
  env: Record<string, string> = {},
): Promise<Stack & { died: Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-mortal-'))
  const stack = await startTemporaryStack({
    toolchainPath: toolchainPath(),
    env: { ...env, NODE_OPTIONS: `--import=${DIES_AT}`, DIES_AT: place, DIED: join(folder, 'died') },
  })
  const died = once(stack.server, 'exit').then(([, signal]) => {
    if (signal !== 'SIGKILL') return
    return stack.restartServer()
  })
  const stop = async () => {
    await stack.stop()
    await died
    await rm(folder, { recursive: true, force: true })
  }
  return Object.defineProperties({ died, stop } as Stack & { died: Promise<void> }, {
    ...Object.getOwnPropertyDescriptors(stack),
    died: { value: died },
    stop: { value: stop },
  })
}
