/** Wires the relay, starts it, and stops it in the order that loses nothing. */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { destination } from 'pino'
import { createBreaker } from '../breaker.ts'
import { METRICS } from '../metric-names.ts'
import { counter, serveMetrics } from '../metrics.ts'
import { SERVICE_RELAY } from '../names.ts'
import manifest from '../package.json' with { type: 'json' }
import { createAccess } from './access/access.ts'
import { createAddressOf } from './access/address.ts'
import { keptSecret } from './access/secret-file.ts'
import { createApp, type Parts } from './app.ts'
import { type Config, readConfig } from './config.ts'
import { connectionOptions } from './connections.ts'
import { openAudit } from './console/audit.ts'
import { createOidc } from './console/oidc.ts'
import { createStaff } from './console/staff.ts'
import { createAccept, createReceive } from './ingest.ts'
import { createLog, type Log } from './log.ts'
import { intoBook } from './log-intake.ts'
import { type Logbook, openLogbook } from './logbook.ts'
import { SERVER_BREAKER } from './proxy.ts'
import { createServiceLane } from './service-lane.ts'
import { flushSpans, keepSpansIn, stopTelemetry } from './telemetry.ts'
import { openTraceStore } from './trace-store.ts'

const connectionsRefused = counter(METRICS.relayConnectionsRefused)

const CLOSE_IDLE_MS = 20
/** How long the forwarder may take to send what is left when the relay stops. */
const FORWARD_MS = 1_200
/** How often the store is tended: what is past its time goes, and what has no room. */
const TEND_EVERY_MS = 10_000

function supportOf({ support, access }: Config): Parts['support'] {
  const { tokens, tokenPath, oidc, auditPath, links, runbooks } = support
  // Kept in a file that only this user can read: whoever can, could read the store as well.
  const known = tokens.length > 0 ? tokens : [{ name: 'local', token: keptSecret(tokenPath) }]
  return {
    ...{ staff: createStaff(known), audit: openAudit(auditPath, Date.now), links, runbooks },
    oidc: oidc && createOidc(oidc),
    addressOf: createAddressOf(access.trustedProxies),
  }
}

/** Loaded where it is used only: it takes longer than all the rest. */
async function quotasIn(url: string, { access }: Config, secrets: readonly string[], log: Log) {
  const { connectRedis } = await import('../redis.ts')
  const { createRedisQuotas, QUOTA_ANSWER_MS } = await import('./access/redis-quotas.ts')
  const onReachable = (reachable: boolean, code?: string) => {
    if (reachable) log.info('quotas are counted in redis')
    else log.error({ code }, 'redis cannot be reached: this relay counts quotas by itself until it can')
  }
  const redis = connectRedis(url, onReachable, { commandTimeout: QUOTA_ANSWER_MS })
  return createRedisQuotas(redis, access.limits, secrets[0] ?? '', Date.now)
}

async function start(config: Config, book: Logbook, log: Log): Promise<void> {
  const metrics = await serveMetrics(config.metrics, { service: SERVICE_RELAY, version: manifest.version })
  const instanceId = randomUUID()
  const { traces: store, own, forwarder, tend, close } = openTraceStore(config, instanceId, log)
  const wake = () => forwarder?.wake()
  const accept = createAccept(store, wake)
  const acceptOwn = createAccept(own, wake)
  keepSpansIn((bytes) => acceptOwn({ bytes, encoding: 'protobuf', gzipped: false }))

  const shutdown = new AbortController()
  const { signal } = shutdown
  const { serverUrl, serverKey, hosts } = config
  const given = config.access.secrets
  const secrets = given.length > 0 ? given : [keptSecret(config.secretPath)]
  const inCommon =
    config.quotaRedisUrl === undefined ? undefined : await quotasIn(config.quotaRedisUrl, config, secrets, log)
  const access = createAccess({ ...config.access, secrets }, Date.now, inCommon?.quotas)
  const app = createApp({
    ...{ access, store, accept, book, forwarder, serverUrl, serverKey, hosts, instanceId, flushSpans, log },
    support: supportOf(config),
    quotaState: inCommon?.state,
    breaker: createBreaker(SERVER_BREAKER),
    shutdown: signal,
  })
  const inServiceLane = createServiceLane({ access, receive: createReceive(accept, log, instanceId), hosts, log })
  const inApp = getRequestListener(app.fetch)
  const server = createServer(connectionOptions(config.connections), (incoming, outgoing) => {
    if (!inServiceLane(incoming, outgoing)) void inApp(incoming, outgoing)
  })
  server.maxConnections = config.connections.max
  let turnedAway = 0
  server.on('drop', () => {
    turnedAway += 1
    connectionsRefused.add({})
  })
  /** Of all together, not of each: whoever connects in a loop would fill the disk. */
  const tellOfTurnedAway = () => {
    if (turnedAway > 0) log.warn({ connections: turnedAway }, 'too many connections at once, further ones closed')
    turnedAway = 0
  }
  const tending = setInterval(() => {
    tellOfTurnedAway()
    book.tend(log)
    tend().catch((error) => log.error({ err: error }, 'store not tended, will try again'))
  }, TEND_EVERY_MS)

  server.on('error', (error) => {
    log.fatal({ err: error }, 'relay cannot listen')
    process.exit(1)
  })
  server.listen(config.port, config.host, () => {
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : config.port
    const url = urlOf(config.host, port)
    const metricsUrl = `${urlOf(config.metrics.host, metrics.port)}/metrics`
    log.info({ url, metrics_url: metricsUrl }, 'relay listening')
    process.send?.({ type: 'listening', url, metricsUrl })
  })

  async function stop(reason: string): Promise<void> {
    if (signal.aborted) return
    log.info({ reason }, 'relay stopping')
    clearInterval(tending)
    tellOfTurnedAway()
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    shutdown.abort(new DOMException('The relay stops.', 'AbortError'))
    // A kept-alive connection that becomes idle only now is not closed by close() itself.
    const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_MS)
    const impatience = setTimeout(() => server.closeAllConnections(), config.connections.stopMs)
    await closed
    clearInterval(idle)
    clearTimeout(impatience)
    // In this order: streams end, so their spans do; spans are stored; what is stored is forwarded.
    await stopTelemetry()
    await close(FORWARD_MS)
    book.close()
    // Last, so that what became of the others can be seen.
    metrics.close()
    log.info('relay stopped')
    process.exit(0)
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  // Whoever started us is gone; nobody else would stop us.
  process.on('disconnect', () => stop('disconnect'))
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

try {
  const config = readConfig()
  // Where the traces are elsewhere nothing is to be kept here, not even lines.
  const book = openLogbook(config.engine ? undefined : config.storePath, config.terms.retentionMs)
  await start(config, book, createLog(config.logLevel, intoBook(book, destination(1))))
} catch (error) {
  createLog('fatal').fatal(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
  process.disconnect?.()
}
