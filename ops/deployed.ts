/**
 * What `ops/deploy/compose.yaml` starts, as processes of this machine with the very same configuration files: two relays and two
 * servers behind nginx, Redis, a Collector that gives each trace to one of two others, a Jaeger for the window and one for what
 * is kept. Any of them can be killed and started again.
 */

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type EngineProcess,
  type GatewayProcess,
  type JaegerProcess,
  type SamplerProcess,
  startGateway,
  startJaeger,
  startSampler,
} from '../fixtures/relay/engines.ts'
import { closeOnSignal } from './closing.ts'
import { type NginxProcess, nginxPorts, startNginx } from './nginx-process.ts'
import { type RedisProcess, startRedis } from './redis-process.ts'
import { toolchainPath } from './setup/toolchain.ts'
import { newKeys, type Stack, startTemporaryStack } from './stack.ts'
import { startedHere } from './support.ts'

/** Each process, by what a person calls it; of two of a kind the first. */
export type Part =
  | 'nginx'
  | 'a relay'
  | 'a server'
  | 'Redis'
  | 'the Collector'
  | 'a sampler'
  | 'Jaeger of the window'
  | 'Jaeger of what is kept'

/** What there is of each, however many. */
export type Tier = 'nginx' | 'relays' | 'servers' | 'redis' | 'collector' | 'samplers' | 'window' | 'kept'

export interface Deployed {
  /** All of it as if it were one relay and one server: whoever asks asks nginx. What it kills is the first pair's. */
  stack: Stack
  /** Both the same where there is one replica. */
  pairs: readonly [Stack, Stack]
  parts: Record<Part, { kill(): Promise<void>; start(): Promise<void> }>
  /** The processes that are there now, by what they are. Of nginx and servers the first ones: they start others. */
  processes(): Record<Tier, number[]>
  redisUrl: string
  /** Where the two Jaegers are asked. */
  windowUrl: string
  keptUrl: string
  stop(): Promise<void>
}

export interface DeployedOptions {
  toolchainPath?: string
  /** More settings, for relays and servers. */
  env?: Record<string, string>
  /** Of relay and server each; two unless it is given. */
  replicas?: 1 | 2
  /** From a trace's first span to the sampler's decision. */
  decisionWait?: string
}

/** Starts it all. Throws an Error when something does not come up, SetupError when it is not to be had; nothing is left then. */
export async function startDeployed(options: DeployedOptions = {}): Promise<Deployed> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-deployed-'))
  const started: Stoppable[] = []
  const stop = async () => {
    forget()
    for (const part of started.reverse()) await part.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const forget = closeOnSignal(stop)
  /** Those that came up are stopped in the end, also when another one did not. */
  const all = async <T extends Stoppable>(...starting: Promise<T>[]): Promise<T[]> => {
    const settled = await Promise.allSettled(starting)
    const parts = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    started.push(...parts)
    for (const each of settled) if (each.status === 'rejected') throw each.reason
    return parts
  }
  try {
    return await startParts(folder, all, stop, options)
  } catch (error) {
    await stop()
    throw error
  }
}

interface Stoppable {
  stop(): Promise<unknown>
}
type StartAll = <T extends Stoppable>(...starting: Promise<T>[]) => Promise<T[]>

async function startParts(
  folder: string,
  all: StartAll,
  stop: () => Promise<void>,
  { toolchainPath: toolchain = toolchainPath(), env = {}, replicas = 2, decisionWait = '2s' }: DeployedOptions,
): Promise<Deployed> {
  const [redis] = (await all(startRedis())) as [RedisProcess]
  const jaegers = ['window', 'kept'].map((name) => startJaeger(join(folder, name)))
  const [window, kept] = (await all(...jaegers)) as [JaegerProcess, JaegerProcess]
  const to = { store: window.otlp, archive: kept.otlp, decisionWait }
  const samplers = await all(...['sampler-1', 'sampler-2'].map((name) => startSampler(join(folder, name), to)))
  const addresses = samplers.map(({ address }) => address)
  const [collector] = (await all(startGateway(join(folder, 'collector'), addresses))) as [GatewayProcess]

  const ports = await nginxPorts()
  const token = randomBytes(32).toString('hex')
  await writeFile(join(folder, 'relay.support-token'), token, { mode: 0o600 })
  const shared = {
    ...{ RUN_STORE: 'redis', RELAY_QUOTA_STORE: 'redis', REDIS_URL: redis.url },
    ...{ TRACE_STORE: 'jaeger', TRACE_STORE_URL: window.url, TRACE_ARCHIVE_URL: kept.url },
    ...{ TRACE_ARCHIVE_OTLP_ENDPOINT: kept.otlp, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    ...{ RELAY_SECRETS: randomBytes(32).toString('hex'), RELAY_SUPPORT_TOKENS: `deployed:${token}` },
    RELAY_TRUSTED_PROXIES: '127.0.0.1',
    ...env,
  }
  const via = { relay: `http://127.0.0.1:${ports.front}`, server: `http://127.0.0.1:${ports.servers}` }
  const keys = newKeys()
  const start = () => startTemporaryStack({ toolchainPath: toolchain, keys, env: shared, via })
  const started = await all(...Array.from({ length: replicas }, start))
  const [one, other = one] = started as [Stack, Stack?]
  const behind = { relays: [one.relayUrl, other.relayUrl], servers: [one.serverUrl, other.serverUrl] } as const
  const [nginx] = (await all(startNginx(behind, ports))) as [NginxProcess]
  for (const url of [nginx.url, one.relayUrl, other.relayUrl]) startedHere(url, folder)

  const killable = (engine: EngineProcess) => ({ kill: () => engine.stop('SIGKILL'), start: () => engine.start() })
  return {
    pairs: [one, other],
    stack: asOne(one, nginx, stop),
    parts: {
      nginx,
      'a relay': { kill: one.killRelay, start: one.restartRelay },
      'a server': { kill: one.killServer, start: one.restartServer },
      Redis: redis,
      'the Collector': killable(collector),
      'a sampler': killable(samplers[0] as SamplerProcess),
      'Jaeger of the window': killable(window),
      'Jaeger of what is kept': killable(kept),
    },
    processes: () => ({
      ...{ nginx: [nginx.pid()], redis: [redis.pid()], collector: [collector.pid()] },
      relays: started.map(({ relay }) => relay.pid ?? 0),
      servers: started.map(({ server }) => server.pid ?? 0),
      samplers: samplers.map(({ pid }) => pid()),
      ...{ window: [window.pid()], kept: [kept.pid()] },
    }),
    redisUrl: redis.url,
    windowUrl: window.url,
    keptUrl: kept.url,
    stop,
  }
}

function asOne(pair: Stack, nginx: NginxProcess, stop: () => Promise<void>): Stack {
  return Object.defineProperties({} as Stack, {
    ...Object.getOwnPropertyDescriptors(pair),
    relayUrl: { value: nginx.url, enumerable: true },
    serverUrl: { value: nginx.serversUrl, enumerable: true },
    stop: { value: stop, enumerable: true },
  })
}
