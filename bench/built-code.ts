/** A program for a browser as text, to be run where a bench wants it rather than where the extension puts it. */

import { dirname } from 'node:path'
import { build, type Plugin, type Rollup } from 'vite'

/**
 * `entry` (an absolute path) with everything it imports, as one script built with vite's own settings, which are also
 * the extension's. Throws when it cannot be built.
 */
export async function builtCode(entry: string, plugins: Plugin[] = []): Promise<string> {
  const result = await build({
    configFile: false,
    root: dirname(entry),
    logLevel: 'error',
    plugins,
    build: { write: false, rolldownOptions: { input: entry, output: { format: 'iife' } } },
  })
  return (result as Rollup.RollupOutput).output[0].code
}
