/** Sends LaTeX and reads its PDF: `node ops/synthetics/compile-check.js`, on any Node from 18 on. See check.ts. */
import { fileURLToPath } from 'node:url'

process.argv.splice(2, 0, fileURLToPath(new URL('check.ts', import.meta.url)), 'compile')
await import('../setup/bootstrap.mjs')
