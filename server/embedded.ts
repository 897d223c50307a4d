/** What one server keeps in its own file, and its memory. */

import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { openDatabase } from './database.ts'
import { EmbeddedRuns } from './embedded-runs.ts'
import type { Kept } from './kept.ts'
import { RunStore } from './run-store.ts'
import { SqliteUse } from './sqlite-use.ts'
import { SqliteOutbox } from './webhooks/sqlite-outbox.ts'
import { Webhooks } from './webhooks/webhooks.ts'

/** Throws an Error when the file cannot be used. */
export function keptHere({ distDir, webhooks: settings }: Config, log: Logger): Kept {
  const db = openDatabase(distDir, () => log.error('the database was damaged, and is set aside'))
  const outbox = new SqliteOutbox(db)
  const webhooks = new Webhooks({ ...settings, outbox, log })
  const runs = new EmbeddedRuns({
    distDir,
    store: new RunStore(db),
    log,
    // In the transaction that writes the end.
    onEnd: (run, end, endedAt) => {
      const message = webhooks.messageOf(run, end, endedAt)
      if (message) webhooks.added(outbox.add(message, settings.urls, endedAt))
    },
  })
  return {
    ...{ runs, webhooks, outbox, use: new SqliteUse(db) },
    forgetBefore: (time) => runs.forgetBefore(time),
    close: async () => db.close(),
  }
}
