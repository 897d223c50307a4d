/** `npm run build`: the extension as a person loads it. `--browser firefox` builds it for Firefox. */

import { parseArgs } from 'node:util'
import type { Target } from '../extension/manifest.ts'
import { buildExtension } from './extension-build.ts'
import { Progress } from './setup/progress.ts'

const { values: flags } = parseArgs({ options: { browser: { type: 'string', default: 'chromium' } } })

if (isTarget(flags.browser)) {
  await buildExtension(new Progress(), flags.browser)
} else {
  console.error('Usage: npm run build -- [--browser chromium|firefox]')
  process.exitCode = 2
}

function isTarget(browser: string): browser is Target {
  return browser === 'chromium' || browser === 'firefox'
}
