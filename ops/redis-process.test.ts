import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { startRedis } from './redis-process.ts'

it('what a Redis has answered it still has after a kill -9, in the same place', async () => {
  const redis = await startRedis()
  const client = new Redis(redis.url)
  try {
    await client.set('run', 'done')
    await redis.kill()
    await redis.start()
    expect(await client.get('run')).toBe('done')
  } finally {
    client.disconnect()
    await redis.stop()
  }
})
