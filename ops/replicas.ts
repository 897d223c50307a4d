/** Two relays and two servers that share one Redis: each relay asks a server of its own, and either pair serves what any has made. */

import { randomBytes } from 'node:crypto'
import { type RedisProcess, startRedis } from './redis-process.ts'
import { toolchainPath } from './setup/toolchain.ts'
import { newKeys, type Stack, startTemporaryStack } from './stack.ts'

export interface Replicas {
  pairs: readonly [Stack, Stack]
  redis: RedisProcess
  stop(): Promise<void>
}

/** Starts them. Throws an Error when one does not come up; nothing is left running then. */
export async function startReplicas(env: Record<string, string> = {}): Promise<Replicas> {
  const redis = await startRedis()
  const shared = { RUN_STORE: 'redis', RELAY_QUOTA_STORE: 'redis', REDIS_URL: redis.url }
  const secrets = { RELAY_SECRETS: randomBytes(32).toString('hex') }
  const keys = newKeys()
  const start = () =>
    startTemporaryStack({ toolchainPath: toolchainPath(), keys, env: { ...shared, ...secrets, ...env } })
  const started = await Promise.allSettled([start(), start()])
  const [one, other] = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const stop = async () => {
    await Promise.all([one?.stop(), other?.stop()])
    await redis.stop()
  }
  if (one && other) return { pairs: [one, other], redis, stop }
  await stop()
  throw started.find((each) => each.status === 'rejected')?.reason
}
