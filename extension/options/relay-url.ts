/** The relay's address as a person types it. */

export type CheckedRelayUrl = { origin: string; problem?: never } | { origin?: never; problem: string }

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]'])

/**
 * The origin of a usable relay address, without a trailing slash; or, as the rest of a sentence that starts with "The
 * address", what it must be. Profiles travel there, so anything beyond this machine must be https.
 */
export function checkRelayUrl(typed: string): CheckedRelayUrl {
  const text = typed.trim()
  if (!text) return { problem: 'must not be empty' }
  if (!/^https?:\/\//i.test(text)) return { problem: 'must start with https://' }
  const url = URL.parse(text)
  if (!url) return { problem: 'must be a web address such as https://relay.example.org' }
  if (url.username || url.password || text.includes('@')) return { problem: 'must not hold a user name or password' }
  if (url.pathname !== '/' || text.includes('?') || text.includes('#'))
    return { problem: `must end after the host and port: ${url.origin}` }
  if (url.protocol === 'http:' && !LOOPBACK.has(url.hostname))
    return { problem: 'must be https; http is only for this computer (127.0.0.1, localhost)' }
  return { origin: url.origin }
}
