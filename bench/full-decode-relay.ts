/**
 * The relay as it is, but for one thing: it decodes every request instead of scanning its bytes. What the benches
 * compare it with. `node --import ./relay/telemetry.ts bench/full-decode-relay.ts`.
 */
import { registerHooks } from 'node:module'

const SCAN = new URL('../relay/scan/scan.ts', import.meta.url).href
const FULL_DECODE = new URL('full-decode.ts', import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    return resolved.url === SCAN ? { ...resolved, url: FULL_DECODE } : resolved
  },
})
await import('../relay/main.ts')
