/** All from the click to the PDF, through the real extension where there is a browser: `node ops/synthetics/e2e-check.js`, on any Node from 18 on. See check.ts. */
import { fileURLToPath } from 'node:url'

process.argv.splice(2, 0, fileURLToPath(new URL('check.ts', import.meta.url)), 'e2e')
await import('../setup/bootstrap.mjs')
