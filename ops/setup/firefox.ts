/** The Firefox that a test drives the extension in. */

import { realpath } from 'node:fs/promises'
import { aptInstall, debian } from './debian.ts'
import { isExecutable, onPath, output } from './program.ts'
import { type Progress, SetupError } from './progress.ts'

/** The oldest that lets a script press the toolbar's button over WebDriver BiDi; the ESR before it, 140, does not. */
const OLDEST = 153
const WHY = 'driving the extension in a real Firefox'
const FIX = `sudo apt-get update && sudo apt-get install firefox-esr   or set FIREFOX_PATH (${OLDEST} or later)`

/**
 * Path of a Firefox: FIREFOX_PATH, PATH, and on Debian as root one that is installed now. Throws SetupError when there
 * is none that is recent enough.
 */
export async function findFirefox(progress: Progress): Promise<string> {
  return progress.step('Firefox', async (now) => {
    const path = (await configured()) ?? (await onSystem()) ?? (await installed(now))
    return { value: path, shown: path }
  })
}

async function configured(): Promise<string | undefined> {
  const path = process.env.FIREFOX_PATH
  if (!path || (await isExecutable(path))) return path || undefined
  // Falling back to another browser would hide the mistake from whoever set the variable.
  throw new SetupError(`FIREFOX_PATH is ${path}, which is not a program that can be run.`, { why: WHY, fix: FIX })
}

async function onSystem(): Promise<string | undefined> {
  for (const name of ['firefox', 'firefox-esr']) {
    const path = await onPath(name)
    // Ubuntu's package of that name is a stub that asks for a snap; inside a container it starts nothing.
    const version = path && (await output(await realpath(path), ['--version']).catch(() => undefined))
    if (path && Number(version?.match(/Firefox (\d+)/)?.[1]) >= OLDEST) return path
  }
  return undefined
}

async function installed(now: (busy: string) => void): Promise<string> {
  const system = await debian()
  if (system?.root !== true || system.id !== 'debian') {
    throw new SetupError(`Firefox ${OLDEST} or later was not found.`, { why: WHY, fix: FIX })
  }
  now('installing with apt-get')
  await aptInstall('firefox-esr').catch((cause) => {
    throw new SetupError('Firefox could not be installed.', { why: WHY, fix: FIX, cause })
  })
  const path = await onSystem()
  if (!path) throw new SetupError(`Firefox was installed but is older than ${OLDEST}.`, { why: WHY, fix: FIX })
  return path
}
