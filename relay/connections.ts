/** What a connection may take of the relay: how long it may be about to say something, and how many there may be. */
import type { ServerOptions } from 'node:http'

export interface ConnectionLimits {
  /** From the first byte of a request, or from the connection's beginning, to the last byte of it. */
  requestMs: number
  /** How many at once. Further ones are closed before anything is read of them. */
  max: number
  /** How long those that are busy may take to end when the relay stops. */
  stopMs: number
}

/** A request's head is small: who takes longer holds a connection, and means to. */
const MAX_HEAD_MS = 10_000
/** Longer than the 5 s after which OpenTelemetry's exporters send again, so that they find the connection open. */
const KEEP_ALIVE_MS = 15_000
/** Node looks for what is late every so often, by itself only every 30 s. */
const CHECK_EVERY_MS = 1_000

/** What node:http is told. A request that is late is a 408 without a body; its connection is closed. */
export function connectionOptions({ requestMs }: Pick<ConnectionLimits, 'requestMs'>): ServerOptions {
  return {
    headersTimeout: Math.min(MAX_HEAD_MS, requestMs),
    requestTimeout: requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, Math.ceil(requestMs / 4)),
  }
}
