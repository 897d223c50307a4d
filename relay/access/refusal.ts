/** Every reason for which a caller is turned away, and what is said to it. */
import type { Exceeded } from './quotas.ts'

/** `message` says what happened and what to do about it. */
export const REFUSALS = {
  token_missing: {
    status: 401,
    message: 'Send a token as "Authorization: Bearer …". POST /installs gives one.',
  },
  token_malformed: {
    status: 401,
    message: 'This is neither a token nor a service key. POST /installs gives a token.',
  },
  token_wrong_kind: {
    status: 401,
    message: 'The refresh token is for POST /installs/refresh, and the other one for everything else.',
  },
  token_expired: {
    status: 401,
    message: 'The token is too old. POST /installs/refresh renews it; POST /installs gives another.',
  },
  token_forged: {
    status: 401,
    message: 'This relay has not signed that token. POST /installs gives one that it has.',
  },
  synthetic_key_unknown: {
    status: 401,
    message: 'This is no key of a synthetic check. Without one, POST /installs gives a token to anybody.',
  },
  service_not_allowed: {
    status: 403,
    message: 'A service key is for POST /v1/traces and /v1/logs only. Everything else is for installs.',
  },
  install_not_allowed: { status: 403, message: 'Lines of the log are taken from services, by their keys.' },
  quota_install: { status: 429, message: 'This browser has asked for too much within the hour.' },
  quota_address: { status: 429, message: 'Too much was asked for from this network address within the hour.' },
  quota_overall: { status: 429, message: 'The relay has been asked for more than it takes within the hour.' },
  quota_synthetic: { status: 429, message: 'This synthetic check has asked for too much within the hour.' },
} as const satisfies Record<string, { status: number; message: string }>

export type Reason = keyof typeof REFUSALS

/** A caller that is turned away. Answered, and counted, at the relay's edge. */
export class Refused extends Error {
  override name = 'Refused'
  readonly reason: Reason
  /** What ran out, for the reasons that begin with `quota`. */
  readonly exceeded: Exceeded | undefined

  constructor(reason: Reason, exceeded?: Exceeded) {
    super(REFUSALS[reason].message)
    this.reason = reason
    this.exceeded = exceeded
  }
}
