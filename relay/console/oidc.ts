/**
 * Staff from an OpenID Connect provider: the authorization code flow with PKCE, state and nonce, by `openid-client`.
 *
 * What belongs to a sign-in under way is in a signed cookie of the browser that began it, not in memory here: whoever
 * begins a million of them fills nothing, and nobody can end another browser's.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import * as client from 'openid-client'

/** Who may sign in: everybody of an e-mail domain, of a group, or with a subject. One of them is enough. */
export interface Allowed {
  domains: string[]
  groups: string[]
  subjects: string[]
}

export interface OidcConfig {
  issuer: string
  clientId: string
  /** Without one, this is a public client: PKCE alone binds the code to who asked for it. */
  clientSecret: string | undefined
  /** The console's own address to come back to, as it is registered with the provider. */
  redirectUrl: string
  /** What the button says. */
  name: string
  scope: string
  /** The claim that has the groups. */
  groupsClaim: string
  allowed: Allowed
}

/** Why nobody was signed in. */
export type OidcProblem = 'unavailable' | 'not_begun_here' | 'declined' | 'not_valid' | 'not_allowed' | 'busy'

export class OidcRefused extends Error {
  override name = 'OidcRefused'
  readonly problem: OidcProblem

  constructor(problem: OidcProblem, cause?: unknown) {
    super(problem, { cause })
    this.problem = problem
  }
}

export interface SignedIn {
  /** For the record: the provider's own ID of the person, which stays when a name or an address changes. */
  who: string
  /** For the person's own pages. Never written down. */
  shown: string
  to: string
  /** The session that this browser had before, if any. */
  before: string
}

interface UnderWay {
  state: string
  nonce: string
  verifier: string
  to: string
  before: string
  until: number
}

/** From the button to the way back: time for a password and a second factor. */
export const SIGN_IN_S = 10 * 60
/** Each answer of the provider. */
const TIMEOUT_S = 10
/** Providers change their endpoints and keys, seldom. */
const METADATA_MS = 60 * 60_000
/** Codes that are exchanged at once: each is three requests of ours to the provider. */
const MAX_EXCHANGES = 10
const MAX_SHOWN = 60

export type Oidc = ReturnType<typeof createOidc>

export function createOidc(config: OidcConfig, now: () => number = Date.now) {
  const { issuer, clientId, clientSecret, redirectUrl, scope, groupsClaim, allowed } = config
  const key = randomBytes(32)
  let known: { at: number; provider: Promise<client.Configuration> } | undefined
  let exchanges = 0

  /** Asked for when somebody signs in, not at the start: the relay's work does not wait for a provider. */
  async function provider(): Promise<client.Configuration> {
    if (known === undefined || now() - known.at > METADATA_MS) {
      const asked = { at: now(), provider: discover() }
      known = asked
      asked.provider.catch(() => {
        if (known === asked) known = undefined
      })
    }
    try {
      return await known.provider
    } catch (cause) {
      throw new OidcRefused('unavailable', cause)
    }
  }

  function discover(): Promise<client.Configuration> {
    const url = new URL(issuer)
    // Signatures are checked although TLS vouches for the answer: it costs one cached request.
    const execute = [
      client.enableNonRepudiationChecks,
      ...(url.protocol === 'http:' ? [client.allowInsecureRequests] : []),
    ]
    return client.discovery(url, clientId, undefined, authentication(clientSecret), { execute, timeout: TIMEOUT_S })
  }

  function sign(payload: string): string {
    return createHmac('sha256', key).update(payload).digest('base64url')
  }

  function seal(underWay: UnderWay): string {
    const payload = Buffer.from(JSON.stringify(underWay)).toString('base64url')
    return `${payload}.${sign(payload)}`
  }

  function unseal(cookie: string): UnderWay {
    const [payload = '', signature = ''] = cookie.split('.')
    const [given, right] = [Buffer.from(signature), Buffer.from(sign(payload))]
    if (given.length !== right.length || !timingSafeEqual(given, right)) throw new OidcRefused('not_begun_here')
    const underWay = JSON.parse(Buffer.from(payload, 'base64url').toString()) as UnderWay
    if (underWay.until <= now()) throw new OidcRefused('not_begun_here')
    return underWay
  }

  async function claimsFor(search: string, { state, nonce, verifier }: UnderWay): Promise<Claims> {
    const configuration = await provider()
    const url = new URL(redirectUrl)
    url.search = search
    try {
      const tokens = await client.authorizationCodeGrant(configuration, url, {
        ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true },
      })
      const claims = tokens.claims() as Claims
      if (!configuration.serverMetadata().userinfo_endpoint) return claims
      // What `scope` asks for is in the ID token of some providers, and here of the others (OpenID Connect Core, 5.4).
      return { ...(await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)), ...claims }
    } catch (cause) {
      if (cause instanceof client.AuthorizationResponseError) throw new OidcRefused('declined', cause)
      throw new OidcRefused(isUnavailable(cause) ? 'unavailable' : 'not_valid', cause)
    }
  }

  return {
    name: config.name,

    /**
     * Where to send a browser that is to sign in, and what it has to bring back. Throws {@link OidcRefused} when the
     * provider does not answer.
     */
    begin: (to: string, before: string): Promise<{ url: string; cookie: string }> =>
      untraced(async () => {
        const configuration = await provider()
        const [state, nonce, verifier] = [client.randomState(), client.randomNonce(), client.randomPKCECodeVerifier()]
        const url = client.buildAuthorizationUrl(configuration, {
          ...{ redirect_uri: redirectUrl, scope, state, nonce, response_type: 'code' },
          ...{ code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' },
        })
        const cookie = seal({ state, nonce, verifier, to, before, until: now() + SIGN_IN_S * 1_000 })
        return { url: url.href, cookie }
      }),

    /** Who has come back, with the query that the provider gave them. Throws {@link OidcRefused}. */
    finish: (search: string, cookie: string): Promise<SignedIn> =>
      untraced(async () => {
        const underWay = unseal(cookie)
        if (exchanges >= MAX_EXCHANGES) throw new OidcRefused('busy')
        exchanges += 1
        try {
          const claims = await claimsFor(search, underWay)
          if (!isAllowed(claims, allowed, groupsClaim)) throw new OidcRefused('not_allowed')
          const shown = String(claims.preferred_username ?? claims.email ?? claims.sub).slice(0, MAX_SHOWN)
          return { who: `oidc:${claims.sub}`, shown, to: underWay.to, before: underWay.before }
        } finally {
          exchanges -= 1
        }
      }),
  }
}

interface Claims {
  sub: string
  [claim: string]: unknown
}

/** An address counts when the provider has verified it: anybody may write any. */
function isAllowed(claims: Claims, { domains, groups, subjects }: Allowed, groupsClaim: string): boolean {
  if (subjects.includes(claims.sub)) return true
  const theirs = [claims[groupsClaim] ?? []].flat().map(String)
  if (groups.some((group) => theirs.includes(group))) return true
  if (claims.email_verified !== true || typeof claims.email !== 'string') return false
  return domains.includes(claims.email.slice(claims.email.lastIndexOf('@') + 1).toLowerCase())
}

/** As the provider says that it takes it; HTTP Basic where it says nothing (OpenID Connect Discovery, section 3). */
function authentication(secret: string | undefined): client.ClientAuth {
  if (secret === undefined) return client.None()
  const [basic, post] = [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)]
  return (server, metadata, body, headers) => {
    const takes = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    return (takes.includes('client_secret_basic') ? basic : post)(server, metadata, body, headers)
  }
}

/** No answer, or one that says nothing about the person. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof client.ResponseBodyError) return error.status >= 500
  const code = error instanceof client.ClientError ? error.code : undefined
  return error instanceof TypeError || code === 'OAUTH_TIMEOUT' || code === 'OAUTH_RESPONSE_IS_NOT_CONFORM'
}

/** What the relay asks a provider is no part of any run. */
function untraced<T>(work: () => Promise<T>): Promise<T> {
  return context.with(suppressTracing(context.active()), work)
}
