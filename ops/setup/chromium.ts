/** The browser that the demonstration, the tests and the synthetic checks load the extension into. */

import { realpath } from 'node:fs/promises'
import { aptInstall, debian } from './debian.ts'
import { isExecutable, onPath, output } from './program.ts'
import { type Progress, SetupError } from './progress.ts'

const WHY = 'loading the extension into a real browser'
const FIX = 'sudo apt-get install chromium   or   npx playwright install chromium   or set CHROMIUM_PATH'

/**
 * Path of a Chromium that loads unpacked extensions: CHROMIUM_PATH, PATH, Playwright's own, and on Debian as root one
 * that is installed now. Throws SetupError when there is none.
 */
export async function findChromium(progress: Progress): Promise<string> {
  return progress.step('Chromium', async (now) => {
    const path = (await presentChromium()) ?? (await installed(now))
    return { value: path, shown: path }
  })
}

/** As {@link findChromium}, but undefined when there is none: installs nothing. */
export async function presentChromium(): Promise<string | undefined> {
  return (await configured()) ?? (await onSystem()) ?? (await playwrights())
}

async function configured(): Promise<string | undefined> {
  const path = process.env.CHROMIUM_PATH
  if (!path || (await isExecutable(path))) return path || undefined
  // Falling back to another browser would hide the mistake from whoever set the variable.
  throw new SetupError(`CHROMIUM_PATH is ${path}, which is not a program that can be run.`, { why: WHY, fix: FIX })
}

// Google's branded Chrome is left out on purpose: since version 137 it ignores --load-extension.
async function onSystem(): Promise<string | undefined> {
  const path = await onPath('chromium', 'chromium-browser')
  if (!path) return undefined
  // Ubuntu's package of that name is a stub that asks for a snap; inside a container it starts nothing.
  const works = await output(await realpath(path), ['--version']).then(
    (version) => /Chromium/.test(version),
    () => false,
  )
  return works ? path : undefined
}

async function playwrights(): Promise<string | undefined> {
  const { chromium } = await import('@playwright/test')
  const path = chromium.executablePath()
  return path && (await isExecutable(path)) ? path : undefined
}

async function installed(now: (busy: string) => void): Promise<string> {
  const system = await debian()
  if (system?.root !== true || system.id !== 'debian') {
    throw new SetupError('Chromium was not found.', { why: WHY, fix: FIX })
  }
  now('installing with apt-get')
  await aptInstall('chromium').catch((cause) => {
    throw new SetupError('Chromium could not be installed.', { why: WHY, fix: FIX, cause })
  })
  const path = await onSystem()
  if (!path) throw new SetupError('Chromium was installed but does not start.', { why: WHY, fix: FIX })
  return path
}
