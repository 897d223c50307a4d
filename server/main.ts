/** Wires the server together, and takes it apart in order. */

import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '@hono/node-server'
import { trace } from '@opentelemetry/api'
import pino from 'pino'
import { createApp } from './app.ts'
import { readConfig } from './config.ts'
import { TEMPLATE } from './latex.ts'
import { clearLeftovers } from './leftovers.ts'
import { Llm } from './llm.ts'
import { TokenQuota } from './quota.ts'
import { Runs } from './runs.ts'
import { Tectonic, type Toolchain } from './tectonic.ts'
import { stopTelemetry } from './telemetry.ts'
import { Working } from './working.ts'

const config = readConfig(process.env)
const log = pino({
  level: config.logLevel,
  base: { service: 'server' },
  mixin: () => {
    const span = trace.getActiveSpan()?.spanContext()
    return span ? { trace_id: span.traceId, span_id: span.spanId } : {}
  },
})

await mkdir(config.distDir, { recursive: true })
const toolchain = config.toolchainPath
  ? (JSON.parse(readFileSync(config.toolchainPath, 'utf8')) as Toolchain)
  : undefined
const tectonic = new Tectonic({
  toolchain,
  timeoutMs: config.compile.timeoutMs,
  concurrency: config.compile.concurrency,
  queueLimit: 64,
})
const template = config.templatePath ? readFileSync(config.templatePath, 'utf8') : TEMPLATE
const model = config.llm && {
  llm: new Llm(config.llm),
  quota: new TokenQuota({ path: join(config.distDir, 'llm-quota.sqlite'), ...config.llmQuota }),
}
const runs = new Runs(config.distDir)
const working = new Working()
const shutdown = new AbortController()
const app = createApp({
  runs,
  pipeline: { model, tectonic, template, log },
  shutdown: shutdown.signal,
  working,
  hosts: config.hosts,
  keys: config.keys,
  ready: () => tectonic.ready(),
})

const clear = async () => {
  const removed = await clearLeftovers(config.distDir, tmpdir(), Date.now())
  if (removed > 0) log.info({ removed }, 'leftovers cleared')
}
await clear()
setInterval(clear, 3_600_000).unref()

const server = serve({ fetch: app.fetch, hostname: config.host, port: config.port }, ({ address, port }) => {
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}`
  log.info({ url, tailor: config.llm ? 'llm' : 'deterministic' }, 'server listening')
  process.send?.({ type: 'listening', url })
})
server.on('error', (error) => {
  log.fatal({ code: 'code' in error ? error.code : undefined }, 'server could not listen')
  process.exit(1)
})

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  runs.interruptAll()
  shutdown.abort()
  await new Promise((resolve) => {
    server.close(resolve)
    // Idle keep-alive connections would hold the process for as long as their clients like.
    if ('closeIdleConnections' in server) server.closeIdleConnections()
    setTimeout(resolve, 2_000).unref()
  })
  // Killed compilations remove their folders, with the resume in them; half a second is plenty.
  await Promise.race([working.done(), new Promise((resolve) => setTimeout(resolve, 500).unref())])
  await stopTelemetry()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
// Whoever started us is gone; nobody would stop us.
process.on('disconnect', stop)
