/** Relay and server as two processes, started, watched and stopped together. */

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from './closing.ts'
import { freePort } from './free-port.ts'
import { startedHere } from './support.ts'
import { enterInLedger } from './trace-ledger.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

export interface StackOptions {
  /** Holds the store and the logs. */
  dataDir: string
  /** Where finished PDFs go. */
  distDir: string
  /** Toolchain file for the server; '' for none. */
  toolchainPath: string
  /** 0 lets the operating system pick. */
  relayPort: number
  serverPort: number
  /** Made anew unless they are shared with another stack. */
  keys?: StackKeys
  /** More settings, for either process. */
  env?: Record<string, string>
  /** By which addresses the relay reaches the server, and the server the relay, when those are not their own. */
  via?: { server?: string; relay?: string }
  /** Whoever starts it sends it spans that the product does not make: they are no part of what is examined afterwards. */
  tracesByHand?: boolean
  /** Done after both have stopped, e.g. removing `dataDir`. */
  afterwards?: () => Promise<void>
}

/** By which the server knows its relay, the relay the server's spans, and who registers as a synthetic check. */
export interface StackKeys {
  server: string
  service: string
  synthetic: string
}

/** Known to nobody else. */
export function newKeys(): StackKeys {
  const key = () => randomBytes(32).toString('hex')
  return { server: key(), service: key(), synthetic: key() }
}

export interface Stack {
  relayUrl: string
  serverUrl: string
  /** Sends spans to the relay, as `Authorization: Bearer`. */
  serviceKey: string
  /** Registers as a synthetic check, as `Authorization: Bearer` of POST /installs. */
  syntheticKey: string
  /** What Prometheus reads. Another server may have another port. */
  metricsUrls: { relay: string; server: string }
  relay: ChildProcess
  server: ChildProcess
  /** Ends the server as `kill -9` does; resolves when it is gone. */
  killServer(): Promise<void>
  /** Starts another one in the place of a server that has died: the same port, folders and settings. */
  restartServer(): Promise<void>
  /** The same two with the relay. */
  killRelay(): Promise<void>
  restartRelay(): Promise<void>
  /** Where the processes log to. */
  logs: { relay: string; server: string }
  /** Stops both and waits until they are gone. */
  stop(): Promise<void>
}

/**
 * Starts both and resolves when both listen. Throws an Error that names the log when one does not come up; nothing is
 * left running then.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  await mkdir(options.dataDir, { recursive: true })
  const logs = { relay: join(options.dataDir, 'relay.log'), server: join(options.dataDir, 'server.log') }
  // The relay must know the server's before the server can know the relay's.
  const serverPort = options.serverPort || (await freePort())
  const serverUrl = `http://127.0.0.1:${serverPort}`
  const keys = options.keys ?? newKeys()
  // Ports of the system's choice go together: several stacks are up at once then.
  const metricsPorts = { RELAY_METRICS_PORT: '0', SERVER_METRICS_PORT: '0' }
  const env = {
    ...(options.relayPort === 0 ? metricsPorts : {}),
    ...options.env,
    SERVER_KEY: keys.server,
  }
  const syntheticKeys = [process.env.RELAY_SYNTHETIC_KEYS, options.env?.RELAY_SYNTHETIC_KEYS, `stack:${keys.synthetic}`]
  const serviceKeys = [process.env.RELAY_SERVICE_KEYS, options.env?.RELAY_SERVICE_KEYS, `server:${keys.service}`]
  const startRelay = (port: number | string) =>
    launch('relay', logs.relay, {
      ...env,
      RELAY_PORT: String(port),
      RELAY_STORE: join(options.dataDir, 'relay'),
      SERVER_URL: options.via?.server ?? serverUrl,
      RELAY_SERVICE_KEYS: serviceKeys.filter(Boolean).join(','),
      RELAY_SYNTHETIC_KEYS: syntheticKeys.filter(Boolean).join(','),
    })
  let relay = await startRelay(options.relayPort)
  startedHere(relay.url, options.dataDir)
  try {
    const startServer = () =>
      launch('server', logs.server, {
        ...env,
        SERVER_PORT: String(serverPort),
        DIST_DIR: options.distDir,
        TOOLCHAIN: options.toolchainPath,
        OTEL_EXPORTER_OTLP_ENDPOINT: options.via?.relay ?? relay.url,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${keys.service}`,
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: '',
      })
    let server = await startServer()
    const stop = async () => {
      forget()
      // The server first: its last spans go to the relay.
      await end(server.child)
      await end(relay.child)
      await options.afterwards?.()
    }
    const forget = closeOnSignal(stop)
    return {
      relayUrl: relay.url,
      serverUrl: server.url,
      serviceKey: keys.service,
      syntheticKey: keys.synthetic,
      get metricsUrls() {
        return { relay: relay.metricsUrl, server: server.metricsUrl }
      },
      get relay() {
        return relay.child
      },
      get server() {
        return server.child
      },
      killServer: () => end(server.child, 'SIGKILL'),
      restartServer: async () => {
        server = await startServer()
      },
      killRelay: () => end(relay.child, 'SIGKILL'),
      restartRelay: async () => {
        relay = await startRelay(new URL(relay.url).port)
      },
      logs,
      stop,
    }
  } catch (error) {
    await end(relay.child)
    throw error
  }
}

/** Tests and benches make in a minute what a person makes in a month, and start one browser after another. */
const AT_ONCE = {
  RELAY_QUOTA_INSTALL: 'runs=100000,keeps=100000,spans=10000000,bytes=10000000000',
  RELAY_QUOTA_ADDRESS: 'runs=100000,keeps=100000,spans=10000000,bytes=10000000000,registrations=100000',
  RELAY_QUOTA_OVERALL: 'runs=100000,keeps=100000,spans=10000000,bytes=10000000000,registrations=100000',
}

/** A stack on ports of the system's choice, in a temporary folder that goes with it. */
export async function startTemporaryStack(
  options: Pick<StackOptions, 'toolchainPath'> & Partial<StackOptions>,
): Promise<Stack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'pass-ats-stack-'))
  const remove = () => rm(dataDir, { recursive: true, force: true })
  const afterwards = async () => {
    if (!options.tracesByHand) await enterInLedger(join(dataDir, 'relay'))
    await remove()
  }
  try {
    const ports = { relayPort: 0, serverPort: 0 }
    const paths = { dataDir, distDir: join(dataDir, 'dist') }
    const env = { ...AT_ONCE, ...options.env }
    return await startStack({ ...paths, ...ports, afterwards, ...options, env })
  } catch (error) {
    await remove()
    throw error
  }
}

/** Node's arguments for either process. */
export function argumentsOf(name: 'relay' | 'server', entry = `${name}/main.ts`): string[] {
  // MiB, half of the default. What the relay makes lives as long as one request: more room would only be filled, and with much
  // less the collector comes too often.
  const young = name === 'relay' ? ['--max-semi-space-size=8'] : []
  return [...young, '--import', `./${name}/telemetry.ts`, entry]
}

async function launch(name: 'relay' | 'server', logPath: string, env: Record<string, string>) {
  const log = await open(logPath, 'a')
  try {
    const child = spawn(process.execPath, argumentsOf(name), {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
      // A terminal's Ctrl-C goes to the whole group; the stack is stopped in its own order instead.
      detached: true,
    })
    const urls = await new Promise<{ url: string; metricsUrl: string }>((resolve, reject) => {
      child.on('message', ({ type, url, metricsUrl = '' }: { type?: string; url?: string; metricsUrl?: string }) => {
        if (type === 'listening' && url) resolve({ url, metricsUrl })
      })
      child.on('error', reject)
      child.on('exit', (code) =>
        reject(new Error(`The ${name} did not start (exit code ${code}). Its log: ${logPath}`)),
      )
    })
    return { child, ...urls }
  } finally {
    await log.close()
  }
}

/** Asks a process to end, and after five seconds makes it. */
async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  const force = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(force)
}
