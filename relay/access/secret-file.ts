/** The secret that a relay signs with when nobody has given it one: made at its first start, and kept. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { MIN_SECRET_LENGTH } from '../config.ts'

/** Reads the secret, or makes one that only this user can read. Throws an Error that names the path, never the content. */
export function keptSecret(path: string): string {
  mkdirSync(dirname(path), { recursive: true })
  try {
    // wx: of two relays that start together one writes, and the other reads.
    writeFileSync(path, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx', flush: true })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  const secret = readFileSync(path, 'utf8').trim()
  if (secret.length >= MIN_SECRET_LENGTH) return secret
  throw new Error(`The secret in ${path} is too short. Delete the file: another is made, and browsers register anew.`)
}
