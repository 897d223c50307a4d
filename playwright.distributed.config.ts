/** The browser's journeys against everything in `ops/deploy`: a part of `npm run test:distributed`. */

import { defineConfig } from '@playwright/test'
import single from './playwright.config.ts'

// For the workers: each stack of a test is two relays and two servers behind nginx, and what they share (ops/deployed.ts).
process.env.JOURNEYS = 'deployed'

export default defineConfig(single, {
  testMatch: ['trace.spec.ts', '**/*.distributed.spec.ts'],
  testIgnore: [],
  // Fourteen processes beside the browser.
  workers: 1,
  timeout: 180_000,
})
