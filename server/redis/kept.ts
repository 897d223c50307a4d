/** What any number of servers keep in one Redis. */

import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import type { Kept } from '../kept.ts'
import { Webhooks } from '../webhooks/webhooks.ts'
import { RedisOutbox } from './outbox.ts'
import { RedisRuns } from './runs.ts'
import { Seal } from './sealed.ts'
import { RedisUse } from './use.ts'

export interface RedisSettings {
  url: string
  maxRuns: number
}

/** Also where it cannot be reached now: it may be later. */
export function keptInRedis({ url, maxRuns }: RedisSettings, config: Config, log: Logger): Kept {
  const runs = new RedisRuns({
    ...{ url, maxRuns, log, seal: new Seal(config.keys), endpoints: config.webhooks.urls },
    // As many as keep both hands full: one that waits here for the model or for Tectonic could go on elsewhere.
    atOnce: config.compile.concurrency + (config.llm?.concurrency ?? config.compile.concurrency),
    messageOf: (...of) => webhooks.messageOf(...of),
    onMessage: (lost) => webhooks.added(lost),
  })
  const outbox = new RedisOutbox(runs.commands)
  const webhooks = new Webhooks({ ...config.webhooks, outbox, log })
  return {
    ...{ runs, webhooks, outbox, use: new RedisUse(runs.commands) },
    // Redis lets go of them by itself.
    forgetBefore: () => undefined,
    close: () => runs.close(),
  }
}
