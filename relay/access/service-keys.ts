/** Keys of services that send spans: our own server, collectors. Static, given by the operator, and exempt from quotas. */
import { hash, timingSafeEqual } from 'node:crypto'

export interface ServiceKey {
  /** Names the sender in logs. Two keys of one name are one service that is changing from one to the other. */
  name: string
  key: string
}

// Digests have one length, which timingSafeEqual needs and which hides that of the key.
const digest = (key: string) => hash('sha256', key, 'buffer')

/** Tells whose key it is, undefined for nobody's, in a time that depends on neither. */
export function createServiceKeys(keys: readonly ServiceKey[]): (key: string) => string | undefined {
  const known = keys.map(({ name, key }) => ({ name, digest: digest(key) }))
  return (key) => {
    const given = digest(key)
    let found: string | undefined
    for (const { name, digest } of known) if (timingSafeEqual(digest, given)) found = name
    return found
  }
}
