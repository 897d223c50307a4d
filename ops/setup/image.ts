/**
 * What the server's image is built with: the toolchain that `npm start` and `npm test` make, at PASS_ATS_CACHE.
 *
 * That there is no sandbox is said of the build, and means nothing: `ops/deploy/sandbox.ts` looks again where the container runs.
 */

import { Progress, SetupError } from './progress.ts'
import { setUpToolchain } from './toolchain.ts'

await setUpToolchain(new Progress()).catch((error) => {
  console.error(`\n  ${error instanceof SetupError ? error : error.message}\n`)
  process.exitCode = 1
})
