/** Where staff sign in with an account, as the settings say it. */
import type { OidcConfig } from './console/oidc.ts'

const RETURN_PATH = '/support/oidc/return'
const KINDS = ['domain', 'group', 'subject'] as const

/** Undefined without an issuer. `text` reads a setting; throws an Error that names the one that is wrong. */
export function readOidc(text: (name: string, fallback: string) => string): OidcConfig | undefined {
  const issuer = text('RELAY_OIDC_ISSUER', '')
  const clientId = text('RELAY_OIDC_CLIENT_ID', '')
  const clientSecret = text('RELAY_OIDC_CLIENT_SECRET', '') || undefined
  const redirectUrl = text('RELAY_OIDC_REDIRECT_URL', '')
  const allow = text('RELAY_OIDC_ALLOW', '')
  const name = text('RELAY_OIDC_NAME', 'your work account')
  const scope = text('RELAY_OIDC_SCOPE', 'openid email')
  const groupsClaim = text('RELAY_OIDC_GROUPS_CLAIM', 'groups')
  if (issuer === '') return undefined
  if (!isSafe(issuer)) throw new Error(`RELAY_OIDC_ISSUER must be an https URL, not "${issuer}".`)
  if (clientId === '') throw new Error('RELAY_OIDC_CLIENT_ID must be set when RELAY_OIDC_ISSUER is.')
  if (!isSafe(redirectUrl) || new URL(redirectUrl).pathname !== RETURN_PATH) {
    const example = `https://relay.example${RETURN_PATH}`
    throw new Error(`RELAY_OIDC_REDIRECT_URL must be where browsers find ${example}, not "${redirectUrl}".`)
  }
  if (!scope.split(' ').includes('openid')) {
    throw new Error(`RELAY_OIDC_SCOPE must have "openid" in it, unlike "${scope}".`)
  }
  return { issuer, clientId, clientSecret, redirectUrl, name, scope, groupsClaim, allowed: readAllowed(allow) }
}

/** Without TLS only on this machine: everything in between could sign itself in. */
function isSafe(url: string): boolean {
  const { protocol, hostname } = URL.parse(url) ?? {}
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname ?? ''))
}

/** `domain:example.com,group:support,subject:248289761001`. Nobody at all is a mistake: everybody would be a worse one. */
function readAllowed(list: string): OidcConfig['allowed'] {
  const rules = list
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => {
      const kind = KINDS.find((kind) => part.startsWith(`${kind}:`))
      const value = part.slice((kind ?? '').length + 1).trim()
      if (kind && value !== '') return { kind, value }
      throw new Error(`RELAY_OIDC_ALLOW must be of the form domain:…,group:…,subject:…, not "${part}".`)
    })
  if (rules.length === 0) {
    throw new Error('RELAY_OIDC_ALLOW must say who may sign in, for example "domain:example.com,group:support".')
  }
  const of = (kind: (typeof KINDS)[number]) => rules.filter((rule) => rule.kind === kind).map(({ value }) => value)
  return {
    domains: of('domain').map((domain) => domain.toLowerCase()),
    groups: of('group'),
    subjects: of('subject'),
  }
}
