import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'extension/dist/**', '**/*.distributed.test.ts'],
    testTimeout: 30_000,
  },
})
