/** Wires the server together, and takes it apart in order. */

import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '@hono/node-server'
import { serveMetrics } from '../metrics.ts'
import { SERVICE_SERVER } from '../names.ts'
import manifest from '../package.json' with { type: 'json' }
import { createApp } from './app.ts'
import { readConfig } from './config.ts'
import { keptHere } from './embedded.ts'
import { MAX_ACTIVE } from './embedded-runs.ts'
import { Failure } from './failure.ts'
import { prepareFormats } from './formats.ts'
import type { Kept } from './kept.ts'
import { TEMPLATE } from './latex.ts'
import { clearLeftovers, PDF_LIFE_MS } from './leftovers.ts'
import { Llm } from './llm.ts'
import { createLog } from './log.ts'
import { canMakeResumes } from './pipeline.ts'
import { TokenQuota } from './quota.ts'
import { Tectonic } from './tectonic.ts'
import { stopTelemetry } from './telemetry.ts'
import type { Toolchain } from './toolchain.ts'
import { typefaceOf } from './typeface.ts'
import { Working } from './working.ts'

const config = readConfig(process.env)
const log = createLog(config.logLevel)
const metrics = await serveMetrics(config.metrics, { service: SERVICE_SERVER, version: manifest.version }).catch(
  (error) => {
    log.fatal({ code: 'code' in error ? error.code : undefined }, 'metrics could not be served')
    process.exit(1)
  },
)

await mkdir(config.distDir, { recursive: true })
const toolchain = config.toolchainPath
  ? (JSON.parse(readFileSync(config.toolchainPath, 'utf8')) as Toolchain)
  : undefined
const template = config.templatePath ? readFileSync(config.templatePath, 'utf8') : TEMPLATE
const shutdown = new AbortController()
const tectonic = new Tectonic({
  toolchain,
  format: prepareFormats(toolchain, template, join(config.distDir, 'formats'), log, shutdown.signal),
  timeoutMs: config.compile.timeoutMs,
  concurrency: config.compile.concurrency,
  // A run that was taken is not turned away later.
  queueLimit: MAX_ACTIVE,
})
tectonic.tellWaiting()
// Measured now, so that the first run need not wait for it.
typefaceOf(tectonic, template).catch((error) => {
  const { code, reason, latexErrorLine: line } = Failure.from(error)
  log.error({ code, reason, line }, 'the template cannot be typeset: no resume can be made')
})
const kept = await keptOrExit()
const { runs, webhooks } = kept
const model = config.llm && {
  llm: new Llm({ ...config.llm, queueLimit: MAX_ACTIVE }),
  quota: new TokenQuota(kept.use, config.llmQuota),
}
const working = new Working()
const app = createApp({
  runs,
  pipeline: { model, tectonic, template, log },
  shutdown: shutdown.signal,
  working,
  hosts: config.hosts,
  keys: config.keys,
  ready: () => canMakeResumes({ tectonic, template }),
})

async function keptOrExit(): Promise<Kept> {
  try {
    if (!config.redis) return keptHere(config, log)
    // Loaded where it is used: half of what starting a server takes.
    const { keptInRedis } = await import('./redis/kept.ts')
    return keptInRedis(config.redis, config, log)
  } catch (error) {
    log.fatal(error instanceof Error ? error.message : 'the run store cannot be opened')
    process.exit(1)
  }
}

const clear = async () => {
  kept.forgetBefore(Date.now() - PDF_LIFE_MS)
  const removed = await clearLeftovers(config.distDir, tmpdir(), Date.now())
  if (removed > 0) log.info({ removed }, 'leftovers cleared')
}
await clear()
setInterval(() => clear().catch((err) => log.error({ err }, 'not cleared, will try again')), 3_600_000).unref()

const server = serve({ fetch: app.fetch, hostname: config.host, port: config.port }, ({ address, port }) => {
  const url = urlOf(address, port)
  const metricsUrl = `${urlOf(config.metrics.host, metrics.port)}/metrics`
  webhooks.wake()
  log.info({ url, metrics_url: metricsUrl, tailor: config.llm ? 'llm' : 'deterministic' }, 'server listening')
  process.send?.({ type: 'listening', url, metricsUrl })
})
server.on('error', (error) => {
  log.fatal({ code: 'code' in error ? error.code : undefined }, 'server could not listen')
  process.exit(1)
})

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  const left = runs.leave()
  shutdown.abort()
  await new Promise((resolve) => {
    server.close(resolve)
    // Idle keep-alive connections would hold the process for as long as their clients like.
    if ('closeIdleConnections' in server) server.closeIdleConnections()
    setTimeout(resolve, 2_000).unref()
  })
  // Killed compilations remove their folders, with the resume in them; half a second is plenty.
  await Promise.race([left.then(() => working.done()), new Promise((resolve) => setTimeout(resolve, 500).unref())])
  await webhooks.stop()
  await stopTelemetry()
  await kept.close()
  metrics.close()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
// Whoever started us is gone; nobody would stop us.
process.on('disconnect', stop)
