/**
 * Who may ask the relay for what: installs, by a token, within quotas; services, by a key, for their spans. An install
 * that registers with the key of a synthetic check is that check.
 *
 * Every token in a browser is public, and anybody may register. So a token is a matter of whose requests belong
 * together, never of trust; what is dear is bounded by address, and overall.
 */
import { randomUUID } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { trace } from '@opentelemetry/api'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { METRICS } from '../../metric-names.ts'
import { counter, gauge } from '../../metrics.ts'
import { doneFor, SYNTHETIC_ATTRIBUTES } from '../../synthetic.ts'
import { BodyTooLarge, readBounded } from '../bounded-body.ts'
import { createAddressOf } from './address.ts'
import { answerRefusal } from './answer.ts'
import { createQuotas, type Exceeded, type Holders, type Limits, type Quotas, type Unit } from './quotas.ts'
import { Refused } from './refusal.ts'
import { createServiceKeys, type ServiceKey } from './service-keys.ts'
import { createTokens, type Install } from './tokens.ts'

export interface AccessConfig {
  /** The first signs, all verify. At least one. */
  secrets: readonly string[]
  serviceKeys: readonly ServiceKey[]
  /** Whose requests are those of synthetic checks: outside quotas and objectives. */
  syntheticKeys: readonly ServiceKey[]
  /** Addresses and networks whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[]
  limits: Limits
}

/** Who asks. An install's ID is random, and in no span and no log. */
export type Caller = ({ kind: 'install' } & Install) | { kind: 'service'; name: string }

/** Counts what can only be known later against the caller's quotas. Throws {@link Refused} when they are used up. */
export interface Meter {
  bytes(count: number): Promise<void>
  spans(count: number): Promise<void>
}

/** What a route costs: `spans` is measured by its {@link Meter}. */
export type Price = 'runs' | 'keeps' | 'spans' | 'nothing'

/** A refresh token is a few hundred bytes. */
const MAX_BODY_BYTES = 4 * 1024

const attempts = counter(METRICS.authAttempts)
const failures = counter(METRICS.authFailures)
const decisions = counter(METRICS.rateLimitDecisions)
const quotaUsed = gauge(METRICS.quotaUsed)
const quotaLimit = gauge(METRICS.quotaLimit)
const countServiceRequest = attempts.tally({ outcome: 'accepted', synthetic: false })

export type Access = ReturnType<typeof createAccess>

export function createAccess(
  config: AccessConfig,
  now: () => number = Date.now,
  quotas: Quotas = createQuotas(config.limits, now),
) {
  const tokens = createTokens(config.secrets, now)
  const serviceOf = createServiceKeys(config.serviceKeys)
  const checkOf = createServiceKeys(config.syntheticKeys)
  const addressOf = createAddressOf(config.trustedProxies)
  quotaUsed.whenAsked(tellQuotas)

  async function tellQuotas(): Promise<void> {
    for (const quota of ['runs', 'spans'] as const) {
      const usage = await quotas.usage('overall', '', quota)
      if (!usage) continue
      quotaUsed.set({ quota }, usage.used)
      quotaLimit.set({ quota }, usage.limit)
    }
  }

  async function charge(holders: Holders, unit: Unit, cost: number): Promise<void> {
    refuseIf(await quotas.charge(holders, unit, cost))
    const synthetic = holders.synthetic !== undefined
    for (const limiter of Object.keys(holders)) decisions.add({ limiter, decision: 'allowed', synthetic })
  }

  function refuseIf(exceeded: Exceeded | undefined): void {
    if (!exceeded) return
    const { level } = exceeded
    decisions.add({ limiter: level, decision: 'denied', synthetic: level === 'synthetic' })
    throw new Refused(`quota_${level}`, exceeded)
  }

  /** Whose quotas a request counts for; of a check, none but its own, by its key. */
  function holdersOf(c: Context, { id, synthetic }: Partial<Install>): Holders {
    if (synthetic !== undefined) return { synthetic }
    return { ...(id === undefined ? {} : { install: id }), address: from(c), overall: '' }
  }

  async function identify(c: Context): Promise<Caller> {
    const header = c.req.header('authorization')
    if (!header) throw new Refused('token_missing')
    const token = bearerOf(header)
    if (token === undefined) throw new Refused('token_malformed')
    const service = serviceOf(token)
    if (service !== undefined) return { kind: 'service', name: service }
    return { kind: 'install', ...(await tokens.installOf(token, 'access')) }
  }

  /** The check that registers; undefined for everybody else. Throws {@link Refused} for a key that is none. */
  function checkIn(c: Context): string | undefined {
    const header = c.req.header('authorization')
    if (!header) return undefined
    const check = checkOf(bearerOf(header) ?? '')
    // Not let in as a person: a check with a mistyped key would spoil what it is to watch.
    if (check === undefined) throw new Refused('synthetic_key_unknown')
    return check
  }

  const from = (c: Context) => addressOf(connectionOf(c), c.req.header('x-forwarded-for'))

  /** Lets a caller through, and says who it is. Throws {@link Refused}. */
  function gate(price: Price): MiddlewareHandler {
    return async (c, next) => {
      const caller = await identify(c)
      c.set('caller', caller)
      if (caller.kind === 'service') {
        if (price !== 'spans') throw new Refused('service_not_allowed')
        countServiceRequest()
        return next()
      }
      const synthetic = accept(c, caller.synthetic)
      const holders = holdersOf(c, caller)
      if (price === 'spans') c.set('meter', await meter(c, holders))
      else if (price !== 'nothing') await charge(holders, price, 1)
      await doneFor({ synthetic }, next)
    }
  }

  /** Tells whether it is a check. */
  function accept(c: Context, check: string | undefined): boolean {
    const synthetic = check !== undefined
    attempts.add({ outcome: 'accepted', synthetic })
    if (synthetic) {
      c.set('synthetic', true)
      trace.getActiveSpan()?.setAttributes(SYNTHETIC_ATTRIBUTES)
    }
    return synthetic
  }

  /** Refuses what is announced as too much before it is read. Only what comes is charged: a length is easily written. */
  async function meter(c: Context, holders: Holders): Promise<Meter> {
    const announced = Number(c.req.header('content-length')) || 0
    refuseIf(await quotas.exceeded(holders, 'bytes', announced))
    return {
      bytes: (count) => charge(holders, 'bytes', count),
      spans: (count) => charge(holders, 'spans', count),
    }
  }

  const installs = new Hono()
    .post('/installs', async (c) => {
      const synthetic = checkIn(c)
      if (synthetic !== undefined) accept(c, synthetic)
      await charge(holdersOf(c, { synthetic }), 'registrations', 1)
      c.header('cache-control', 'no-store')
      // All that register with a check's key are one install: a run that is asked for again by its ID is found again.
      return c.json(await tokens.issue({ id: synthetic ?? randomUUID(), synthetic }), 201)
    })
    .post('/installs/refresh', async (c) => {
      const install = await tokens.installOf(await refreshTokenIn(c), 'refresh')
      accept(c, install.synthetic)
      await charge(holdersOf(c, install), 'renewals', 1)
      c.header('cache-control', 'no-store')
      return c.json(await tokens.issue(install))
    })

  return {
    gate,
    /** Whether a service says so in its Authorization header. Refuses and counts nobody. */
    isService(authorization: string): boolean {
      const token = bearerOf(authorization)
      return token !== undefined && serviceOf(token) !== undefined
    },
    /** Counts a request of a service that was let in by {@link isService}, now or before. */
    countServiceRequest,
    /** POST /installs and POST /installs/refresh. */
    installs,
    /** The answer to a caller that is turned away, in the words of the route. Counts it. */
    refuse(c: Context, refused: Refused): Response {
      if (!refused.exceeded) {
        attempts.add({ outcome: 'refused', synthetic: c.get('synthetic') === true })
        failures.add({ reason: refused.reason })
      }
      return answerRefusal(c, refused)
    },
  }
}

/** Who asks, behind a {@link Access.gate}. */
export function callerOf(c: Context): Caller | undefined {
  return c.get('caller')
}

/** What an install's spans are counted by; undefined for services, which have no quota. */
export function meterOf(c: Context): Meter | undefined {
  return c.get('meter')
}

function bearerOf(authorization: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1]
}

function connectionOf(c: Context): string | undefined {
  return (c.env as Partial<HttpBindings> | undefined)?.incoming?.socket.remoteAddress
}

/** Of any content type: as plain text a browser sends it without asking first. */
async function refreshTokenIn(c: Context): Promise<string> {
  try {
    const { refresh } = JSON.parse(new TextDecoder().decode(await readBounded(c.req.raw, MAX_BODY_BYTES)))
    if (typeof refresh === 'string') return refresh
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError || error instanceof BodyTooLarge)) throw error
  }
  throw new Refused('token_missing')
}
