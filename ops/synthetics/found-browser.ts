/** The browser for e2e-check, where there is one, with the extension as it is now. */

import { buildExtension } from '../extension-build.ts'
import { presentChromium } from '../setup/chromium.ts'
import { Progress } from '../setup/progress.ts'

/** Its path; undefined where there is none. Installs nothing. */
export async function builtBrowser(): Promise<string | undefined> {
  const chromium = await presentChromium()
  // Standard output is for the reports.
  if (chromium !== undefined) await buildExtension(new Progress(process.stderr))
  return chromium
}
