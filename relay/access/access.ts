/**
 * Who may ask the relay for what: installs, by a token, within quotas; services, by a key, for their spans.
 *
 * Every token in a browser is public, and anybody may register. So a token is a matter of whose requests belong
 * together, never of trust; what is dear is bounded by address, and overall.
 */
import { randomUUID } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { BodyTooLarge, readBounded } from '../bounded-body.ts'
import { createAddressOf } from './address.ts'
import { answerRefusal } from './answer.ts'
import { createQuotas, type Exceeded, type Holders, type Limits, type Unit } from './quotas.ts'
import { noRefusals, Refused } from './refusal.ts'
import { createServiceKeys, type ServiceKey } from './service-keys.ts'
import { createTokens } from './tokens.ts'

export interface AccessConfig {
  /** The first signs, all verify. At least one. */
  secrets: readonly string[]
  serviceKeys: readonly ServiceKey[]
  /** Addresses and networks whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[]
  limits: Limits
}

/** Who asks. An install's ID is random, and in no span and no log. */
export type Caller = { kind: 'install'; id: string } | { kind: 'service'; name: string }

/** Counts what can only be known later against the caller's quotas. Throws {@link Refused} when they are used up. */
export interface Meter {
  bytes(count: number): void
  spans(count: number): void
}

/** What a route costs: `spans` is measured by its {@link Meter}. */
export type Price = 'runs' | 'keeps' | 'spans' | 'nothing'

/** A refresh token is a few hundred bytes. */
const MAX_BODY_BYTES = 4 * 1024

export type Access = ReturnType<typeof createAccess>

export function createAccess(config: AccessConfig, now: () => number = Date.now) {
  const tokens = createTokens(config.secrets, now)
  const serviceOf = createServiceKeys(config.serviceKeys)
  const addressOf = createAddressOf(config.trustedProxies)
  const quotas = createQuotas(config.limits, now)
  const refusals = noRefusals()

  function charge(holders: Holders, unit: Unit, cost: number): void {
    refuseIf(quotas.charge({ overall: '', ...holders }, unit, cost))
  }

  function refuseIf(exceeded: Exceeded | undefined): void {
    if (exceeded) throw new Refused(`quota_${exceeded.level}`, exceeded)
  }

  async function identify(c: Context): Promise<Caller> {
    const header = c.req.header('authorization')
    if (!header) throw new Refused('token_missing')
    const token = bearerOf(header)
    if (token === undefined) throw new Refused('token_malformed')
    const service = serviceOf(token)
    if (service !== undefined) return { kind: 'service', name: service }
    return { kind: 'install', id: await tokens.installOf(token, 'access') }
  }

  const from = (c: Context) => addressOf(connectionOf(c), c.req.header('x-forwarded-for'))

  /** Lets a caller through, and says who it is. Throws {@link Refused}. */
  function gate(price: Price): MiddlewareHandler {
    return async (c, next) => {
      const caller = await identify(c)
      c.set('caller', caller)
      if (caller.kind === 'service') {
        if (price !== 'spans') throw new Refused('service_not_allowed')
      } else {
        const holders = { install: caller.id, address: from(c) }
        if (price === 'spans') c.set('meter', meter(c, holders))
        else if (price !== 'nothing') charge(holders, price, 1)
      }
      await next()
    }
  }

  /** Refuses what is announced as too much before it is read. Only what comes is charged: a length is easily written. */
  function meter(c: Context, holders: Holders): Meter {
    const announced = Number(c.req.header('content-length')) || 0
    refuseIf(quotas.exceeded({ overall: '', ...holders }, 'bytes', announced))
    return {
      bytes: (count) => charge(holders, 'bytes', count),
      spans: (count) => charge(holders, 'spans', count),
    }
  }

  const installs = new Hono()
    .post('/installs', async (c) => {
      charge({ address: from(c) }, 'registrations', 1)
      c.header('cache-control', 'no-store')
      return c.json(await tokens.issue(randomUUID()), 201)
    })
    .post('/installs/refresh', async (c) => {
      const install = await tokens.installOf(await refreshTokenIn(c), 'refresh')
      charge({ install }, 'renewals', 1)
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
    /** POST /installs and POST /installs/refresh. */
    installs,
    /** How often whom was turned away, by reason. */
    refusals,
    /** The answer to a caller that is turned away, in the words of the route. Counts it. */
    refuse(c: Context, refused: Refused): Response {
      refusals[refused.reason] += 1
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
