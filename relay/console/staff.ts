/**
 * Who of the staff may look: tokens, the sessions they open, and links that open one once.
 *
 * Sessions are in memory: a restart signs everybody out, and signing out is final, which a signed cookie's is not.
 */
import { randomBytes } from 'node:crypto'
import { createServiceKeys } from '../access/service-keys.ts'

/** A person or a team, and what they sign in with. Twice the same name is one that changes its token. */
export interface StaffToken {
  name: string
  token: string
}
export interface Session {
  /** For the record. */
  name: string
  /** What the person sees of it. */
  shown: string
  /** Stands in every form of the session: another page cannot know it. */
  csrf: string
}

const HOUR_MS = 3_600_000
/** From signing in, and since the last page. */
const SESSION_MS = 12 * HOUR_MS
const IDLE_MS = 2 * HOUR_MS
const MAX_SESSIONS = 1_000
const LINK_MS = 10 * 60_000
const MAX_LINKS = 100
/** Wrong tokens from one network address before it has to wait. */
const MAX_FAILURES = 10
const FAILURES_MS = 15 * 60_000
const MAX_ADDRESSES = 10_000

export function createStaff(tokens: readonly StaffToken[], now: () => number = Date.now) {
  const nameOf = createServiceKeys(tokens.map(({ name, token }) => ({ name, key: token })))
  const sessions = new Map<string, Session & { until: number; idleUntil: number }>()
  const links = new Map<string, { name: string; until: number }>()
  const failures = new Map<string, { count: number; until: number }>()

  const secret = () => randomBytes(32).toString('base64url')

  /** Seconds that an address with too many failures has to wait, whatever it sends now. */
  function waitOf(address: string): number | undefined {
    const failed = failures.get(address)
    if (failed && failed.until <= now()) failures.delete(address)
    else if (failed && failed.count >= MAX_FAILURES) return Math.ceil((failed.until - now()) / 1_000)
    return undefined
  }

  function failedAt(address: string): void {
    const { count } = failures.get(address) ?? { count: 0 }
    failures.delete(address)
    remember(failures, MAX_ADDRESSES, address, { count: count + 1, until: now() + FAILURES_MS })
  }

  return {
    waitOf,
    /** Counts a try that has failed; where the token is checked here, that is done already. */
    failedAt,

    /** Whose token it is; `wait` is that of {@link waitOf}. */
    check(token: string, address: string): { name: string } | { wait: number } | undefined {
      const wait = waitOf(address)
      if (wait !== undefined) return { wait }
      const name = nameOf(token)
      if (name !== undefined) return { name }
      failedAt(address)
      return undefined
    },

    /** Opens a session under an ID that nobody has seen before; whatever the browser had is not taken over. */
    open(name: string, shown = name): { id: string; maxAgeS: number } {
      const id = secret()
      const session = { name, shown, csrf: secret(), until: now() + SESSION_MS, idleUntil: now() + IDLE_MS }
      remember(sessions, MAX_SESSIONS, id, session)
      return { id, maxAgeS: SESSION_MS / 1_000 }
    },

    /** The session, which is then not idle; undefined when there is none, or none any more. */
    session(id: string): Session | undefined {
      const session = sessions.get(id)
      if (!session) return undefined
      if (session.until <= now() || session.idleUntil <= now()) {
        sessions.delete(id)
        return undefined
      }
      session.idleUntil = now() + IDLE_MS
      return session
    },

    close: (id: string): void => void sessions.delete(id),

    /** What opens a session for whoever comes with it first, for a few minutes. */
    link(name: string): string {
      const code = secret()
      remember(links, MAX_LINKS, code, { name, until: now() + LINK_MS })
      return code
    },

    /** Whose link it was. It is none any more. */
    follow(code: string): string | undefined {
      const link = links.get(code)
      links.delete(code)
      return link && link.until > now() ? link.name : undefined
    },
  }
}

export type Staff = ReturnType<typeof createStaff>

/** Where there is no room, the oldest goes. */
function remember<T>(map: Map<string, T>, max: number, key: string, value: T): void {
  const [oldest] = map.keys()
  if (map.size >= max && oldest !== undefined) map.delete(oldest)
  map.set(key, value)
}
