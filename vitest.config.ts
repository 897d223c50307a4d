import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'extension/dist/**', '**/*.distributed.test.ts'],
    testTimeout: 30_000,
    // How long something takes to come to pass is the machine's business: a second is too little on a busy one.
    expect: { poll: { timeout: 20_000 } },
  },
})
