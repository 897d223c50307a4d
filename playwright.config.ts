/** How the browser tests are run: `*.spec.ts`. */

import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: 'extension',
  testMatch: '**/*.spec.ts',
  testIgnore: '**/*.distributed.spec.ts',
  outputDir: 'test-results',
  // Each worker has a browser and a stack of its own, and much of what is tested is how long something waits.
  workers: 3,
  fullyParallel: false,
  retries: 0,
  timeout: 90_000,
  forbidOnly: true,
  reporter: process.env.TEST_SUMMARY ? [['list'], ['json', { outputFile: process.env.TEST_SUMMARY }]] : [['list']],
})
