/** How the tests are run that need engines of more than one machine: `*.distributed.test.ts`. */

import { defineConfig } from 'vitest/config'

/** What `npm run test:distributed` runs. A file whose engine is in MISSING_ENGINES skips itself, and is told of. */
export default defineConfig({
  test: {
    include: ['**/*.distributed.test.ts'],
    exclude: ['node_modules/**', 'extension/dist/**'],
    passWithNoTests: true,
    // Several processes each, on few cores: one file after another.
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
})
