/** How unit and integration tests are run: `*.test.ts`. */

import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    // Two more than Vitest takes on two cores: most files wait for processes of their own, and a core would stand idle.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    exclude: ['node_modules/**', 'extension/dist/**', '**/*.distributed.test.ts'],
    // How long something takes is the machine's business: these end what hangs, and nothing else, on a busy one, too.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
})
