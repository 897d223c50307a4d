/**
 * What is somebody's resume or posting is not readable in Redis, its files, copies or monitors: AES-256-GCM, with a key made
 * of SERVER_KEY, which every server has and Redis has not.
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16

export class Seal {
  readonly #keys: readonly Uint8Array[]

  /** The first seals, all open: as SERVER_KEY is changed. */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map((secret) => new Uint8Array(hkdfSync('sha256', secret, '', 'pass-ats run store', 32)))
  }

  /** `of` says what it is and whose: sealed for one run, it does not open for another. */
  close(of: string, content: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#keys[0] as Uint8Array, nonce).setAAD(Buffer.from(of))
    const sealed = [cipher.update(content), cipher.final()]
    return Buffer.concat([nonce, cipher.getAuthTag(), ...sealed])
  }

  /** Throws an Error when no key opens it. */
  open(of: string, sealed: Buffer): Buffer {
    for (const key of this.#keys) {
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
        decipher.setAAD(Buffer.from(of)).setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
        return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
      } catch {
        // Another key's, perhaps.
      }
    }
    throw new Error('What is in Redis was sealed with a SERVER_KEY that this server does not have.')
  }

  closeJson(of: string, value: unknown): Buffer {
    return this.close(of, Buffer.from(JSON.stringify(value)))
  }

  openJson(of: string, sealed: Buffer): unknown {
    return JSON.parse(this.open(of, sealed).toString())
  }
}
