/** A run whose worker is killed on the way, watched from outside: a page of the extension that is opened again if lost. */

import type { Page } from '@playwright/test'
import type { RunState } from '../extension/run-state.ts'
import type { Browser } from './browser.ts'

/** The ways a worker dies. */
export const DEATHS = ['worker stop', 'process kill', 'browser kill', 'extension update'] as const
export type Death = (typeof DEATHS)[number]

/** A minute: the recovery alarm may need half of it. */
const RECOVERY_MS = 60_000

/** Lets the worker die; gives the browser to go on with, which is another one after a browser kill. */
export async function die(browser: Browser, death: Death, relaunch: (profile: string) => Promise<Browser>) {
  if (death === 'worker stop') await browser.stopWorker()
  if (death === 'process kill') await browser.killExtensionProcess()
  if (death === 'extension update') await browser.updateExtension()
  return death === 'browser kill' ? relaunch(await browser.kill()) : browser
}

/**
 * The run once it has ended. Waits in a page of the extension, which wakes no worker: a run that only ends because
 * somebody looks at it has not survived. Throws when it does not end within a minute.
 */
export async function survivedRun(browser: Browser, id: string): Promise<RunState> {
  const deadline = Date.now() + RECOVERY_MS
  for (;;) {
    let page: Page | undefined
    try {
      page = await browser.openExtensionPage('resume/resume.html')
      return await page.evaluate(
        async ({ id, timeoutMs }) => {
          const { promise, resolve, reject } = Promise.withResolvers<RunState>()
          const look = async () => {
            const { run } = (await chrome.storage.local.get('run')) as { run?: RunState }
            if (run?.id === id && run.status !== 'running') resolve(run)
          }
          chrome.storage.onChanged.addListener(look)
          setTimeout(() => reject(new Error(`The run ${id} did not end.`)), timeoutMs)
          await look()
          return promise
        },
        { id, timeoutMs: deadline - Date.now() },
      )
    } catch (error) {
      // The page may have died with the worker's process.
      if (Date.now() > deadline) throw error
    } finally {
      await page?.close().catch(() => undefined)
    }
  }
}
