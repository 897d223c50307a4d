import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'extension/dist/**'],
    testTimeout: 30_000,
  },
})
