/** Builds the extension: for Chromium into `extension/dist`, for Firefox into `extension/dist-firefox`. */

import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'vite'
import type { Target } from '../extension/manifest.ts'
import { EXTENSION_DIR } from './browser.ts'
import { FIREFOX_EXTENSION_DIR } from './firefox.ts'
import type { Progress } from './setup/progress.ts'

const BUILDS = {
  chromium: { name: 'Extension', folder: EXTENSION_DIR },
  firefox: { name: 'Extension (Firefox)', folder: FIREFOX_EXTENSION_DIR },
}

/** Half a second, so it is done every time: nobody ever tests yesterday's extension. `plugins` make another one of it. */
export async function buildExtension(
  progress: Progress,
  target: Target = 'chromium',
  folder = BUILDS[target].folder,
  plugins: Plugin[] = [],
): Promise<void> {
  const { name } = BUILDS[target]
  await progress.step(name, async () => {
    // crxjs announces its inner build on the console, with a warning about its own settings; this step has its line.
    const { log, warn } = console
    console.log = console.warn = () => {}
    try {
      const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url))
      const mode = target === 'firefox' ? 'firefox' : 'production'
      await build({ configFile, mode, logLevel: 'error', plugins, build: { outDir: folder } })
    } finally {
      Object.assign(console, { log, warn })
    }
    return { value: undefined, shown: folder }
  })
}
