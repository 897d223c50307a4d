/** Signatures of Standard Webhooks (standardwebhooks.com, version 1): HMAC-SHA256 of `id.timestamp.body`. */

import { createHmac } from 'node:crypto'

const PREFIX = 'whsec_'

/** The key in a secret, `whsec_` and 24 to 64 bytes in base64. Undefined when it is none. */
export function keyIn(secret: string): Buffer | undefined {
  const encoded = secret.slice(PREFIX.length)
  if (!secret.startsWith(PREFIX) || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined
  const key = Buffer.from(encoded, 'base64')
  return key.length >= 24 && key.length <= 64 ? key : undefined
}

/** The `webhook-signature` header: one signature a key, so that either of two is enough while they are changed. */
export function signature(keys: readonly Buffer[], id: string, timestampS: number, body: string): string {
  const sign = (key: Buffer) => createHmac('sha256', key).update(`${id}.${timestampS}.${body}`).digest('base64')
  return keys.map((key) => `v1,${sign(key)}`).join(' ')
}
