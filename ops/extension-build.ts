/** Builds the extension into `extension/dist`. */

import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { EXTENSION_DIR } from './browser.ts'
import type { Progress } from './setup/progress.ts'

/** Half a second, so it is done every time: nobody ever tests yesterday's extension. */
export async function buildExtension(progress: Progress): Promise<void> {
  await progress.step('Extension', async () => {
    // crxjs announces its inner build on the console, with a warning about its own settings; this step has its line.
    const { log, warn } = console
    console.log = console.warn = () => {}
    try {
      const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url))
      await build({ configFile, logLevel: 'error' })
    } finally {
      Object.assign(console, { log, warn })
    }
    return { value: undefined, shown: EXTENSION_DIR }
  })
}
