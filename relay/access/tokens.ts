/**
 * What an install shows to be let in: a JWT (RFC 7519), signed by this relay with HMAC-SHA-256, and kept nowhere.
 *
 * It says that requests belong together, for quotas and for who may read a run; it is no proof of good will, because
 * anybody may register. One install is not revoked alone: it would register anew. All are, when secrets are replaced.
 * That of a synthetic check says so, which nobody can add to a token of theirs.
 */
import { sign, verify } from 'hono/jwt'
import { JwtTokenSignatureMismatched } from 'hono/utils/jwt/types'
import type { InstallAccess } from '../access-contract.ts'
import { Refused } from './refusal.ts'

/** Who a token is for: a random ID; of a synthetic check its name, in place of it, too. */
export interface Install {
  id: string
  synthetic: string | undefined
}

/** How long a token is good, and how long what renews it: a browser that is not used for so long starts anew. */
const VALID_S = { access: 3_600, refresh: 90 * 86_400 }
type Kind = keyof typeof VALID_S

const HMAC = { name: 'HMAC', hash: 'SHA-256' }

/** The first of `secrets` signs, all verify: so they can be replaced while tokens of the old one are still around. */
export function createTokens(secrets: readonly string[], now: () => number) {
  // Imported once: from a string, Hono would do it for every token.
  const keys = secrets.map((secret) =>
    crypto.subtle.importKey('raw', new TextEncoder().encode(secret), HMAC, false, ['sign', 'verify']),
  )
  const seconds = () => Math.floor(now() / 1_000)

  async function make({ id, synthetic }: Install, kind: Kind): Promise<string> {
    const [first] = keys
    if (!first) throw new Error('There is no secret to sign tokens with.')
    const iat = seconds()
    const claims = { sub: id, kind, iat, exp: iat + VALID_S[kind], ...(synthetic === undefined ? {} : { synthetic }) }
    return sign(claims, await first, 'HS256')
  }

  /** The claims, when any of the secrets has signed them. WebCrypto compares signatures in constant time. */
  async function claims(token: string): Promise<Record<string, unknown>> {
    for (const key of keys) {
      try {
        // Its clock is the system's, and its error would not tell an expired token from a forged one.
        return await verify(token, await key, { alg: 'HS256', exp: false, iat: false, nbf: false })
      } catch (error) {
        // Its messages quote the token: none is kept as a cause.
        if (!(error instanceof JwtTokenSignatureMismatched)) throw new Refused('token_malformed')
      }
    }
    throw new Refused('token_forged')
  }

  return {
    /** A token for the install, and what renews it. */
    async issue(install: Install): Promise<InstallAccess> {
      return {
        token: await make(install, 'access'),
        expiresAt: new Date((seconds() + VALID_S.access) * 1_000).toISOString(),
        expiresInS: VALID_S.access,
        refresh: await make(install, 'refresh'),
      }
    },

    /** The install that a token was given to. Throws {@link Refused}. */
    async installOf(token: string, kind: Kind): Promise<Install> {
      const { sub, kind: actual, exp, synthetic } = await claims(token)
      if (typeof sub !== 'string' || typeof exp !== 'number') throw new Refused('token_malformed')
      if (actual !== kind) throw new Refused('token_wrong_kind')
      if (exp <= seconds()) throw new Refused('token_expired')
      return { id: sub, synthetic: typeof synthetic === 'string' ? synthetic : undefined }
    },
  }
}
