/** Asks for a resume over HTTP and reads its PDF: `node ops/synthetics/generate-check.js`, on any Node from 18 on. See check.ts. */
import { fileURLToPath } from 'node:url'

process.argv.splice(2, 0, fileURLToPath(new URL('check.ts', import.meta.url)), 'generate')
await import('../setup/bootstrap.mjs')
