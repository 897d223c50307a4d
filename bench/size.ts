/** What the extension weighs, and what it would weigh with another telemetry SDK; all built in this one run. */

import { Progress } from '../ops/setup/progress.ts'
import type { Measured } from './bench.ts'
import { measureExtension, sizeTargets } from './extension-size.ts'
import { measureOtherSdks } from './other-sdks.ts'

/** Sizes in bytes, minified and gzipped. */
export async function benchSize(): Promise<Measured> {
  const progress = new Progress(process.stderr)
  const extension = await measureExtension(progress)
  const otherSdks = await measureOtherSdks(progress)
  return { results: { bytes: extension, otherSdks }, targets: sizeTargets(extension) }
}
