/** What can happen to the Redis in which servers keep their runs. */

import { startRedis } from '../../redis-process.ts'
import { startTemporaryStack } from '../../stack.ts'
import { callerOf, over } from './caller.ts'
import { type Cause, target } from './cause.ts'

/** Everything that is to be closed goes into `closing`, to be closed backwards. Throws SetupError where there is no Redis. */
export async function redisCauses(closing: (() => unknown)[]) {
  const redis = await startRedis()
  closing.push(() => redis.stop())
  const stack = await startTemporaryStack({ toolchainPath: '', env: { RUN_STORE: 'redis', REDIS_URL: redis.url } })
  closing.push(() => stack.stop())
  const person = await callerOf(stack)
  const causes: Cause[] = [
    {
      what: 'a Redis of runs that is killed',
      alerts: [['RunsUnavailable']],
      async provoke(signal) {
        await redis.kill()
        await over(signal, 1, () => person.run())
      },
      repair: () => redis.start(),
    },
  ]
  const targets = [
    target('pass-ats-relay-5', stack.metricsUrls.relay),
    target('pass-ats-server-5', stack.metricsUrls.server),
  ]
  return { targets, causes }
}
