import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'extension/dist/**', '**/*.distributed.test.ts'],
    // How long something takes is the machine's business: these end what hangs, and nothing else, on a busy one, too.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
})
