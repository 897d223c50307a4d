/** Everything that `ops/deploy` has as processes on one machine, found or made. */

import { findNginx } from './nginx.ts'
import type { Progress } from './progress.ts'
import { findRedis } from './redis.ts'
import { setUpToolchain } from './toolchain.ts'
import { findCollector, findJaeger } from './tracing-engines.ts'

/** Throws SetupError for the first that cannot be had here. */
export async function setUpDeployed(progress: Progress): Promise<void> {
  await setUpToolchain(progress)
  await findRedis(progress)
  await findNginx(progress)
  await findCollector(progress)
  await findJaeger(progress)
}
