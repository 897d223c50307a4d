/** How long what is stored stays: a window for all of it, and a longer one for the traces that somebody has reported. */
import type { DatabaseSync } from 'node:sqlite'

/** How long requests stay, and how long those of a kept trace do at least; milliseconds. */
export interface Terms {
  retentionMs: number
  keptMs: number
}
/** Until when a trace stays, in milliseconds since 1970, and whether that is because it was reported. */
export interface Stay {
  kept: boolean
  until: number
}
/** What came of the wish to keep a trace. `retryAt` is in milliseconds since 1970. */
export type Keeping = { kind: 'kept'; until: number } | { kind: 'unknown' } | { kind: 'too_many'; retryAt: number }

const HOUR_MS = 3_600_000
/** Traces newly kept within an hour. Support reads reports one by one; only a forger sends more. */
export const MAX_KEPT_PER_HOUR = 60
/** Rows looked at and deleted at a time, so that no delete holds up an answer. */
const RETENTION_BATCH = 500
/** How soon what was passed over, because it was kept then, is looked at again. */
const LOOK_AGAIN_MS = HOUR_MS

/** Retention over an open store. All of it throws what SQLite throws. */
export function createRetention(db: DatabaseSync, { retentionMs, keptMs }: Terms, now: () => number) {
  const firstRequest = db.prepare(
    `SELECT received_at FROM trace_request JOIN request ON request.id = request_id
     WHERE trace_id = ? ORDER BY request_id LIMIT 1`,
  )
  const keptUntil = db.prepare('SELECT kept_until FROM kept_trace WHERE trace_id = ? AND kept_until > ?')
  const lastOfQuota = db.prepare(
    `SELECT kept_at FROM kept_trace WHERE kept_at > ? ORDER BY kept_at DESC LIMIT 1 OFFSET ${MAX_KEPT_PER_HOUR - 1}`,
  )
  const insertKept = db.prepare(
    `INSERT INTO kept_trace (trace_id, kept_at, kept_until) VALUES (?, ?, ?)
     ON CONFLICT (trace_id) DO UPDATE SET kept_at = excluded.kept_at, kept_until = excluded.kept_until`,
  )
  const deleteLapsed = db.prepare(
    `DELETE FROM kept_trace WHERE trace_id IN
       (SELECT trace_id FROM kept_trace WHERE kept_until <= ? LIMIT ${RETENTION_BATCH})`,
  )
  // Oldest rows first and then the age, not an index on the age: ids are in order of arrival anyway.
  const aged = `SELECT id FROM (SELECT id, received_at FROM request WHERE id > ? ORDER BY id LIMIT ${RETENTION_BATCH})
     WHERE received_at < ?`
  const lookAt = db.prepare(`SELECT count(*) AS looked, max(id) AS last FROM (${aged})`)
  // CROSS JOIN fixes the order: from the few traces of a request to their marks, never from all marks to the request.
  const deleteAged = db.prepare(
    `DELETE FROM request WHERE id IN (${aged}) AND NOT EXISTS (
       SELECT 1 FROM trace_request CROSS JOIN kept_trace USING (trace_id)
       WHERE trace_request.request_id = request.id AND kept_until > ?)`,
  )

  // Where this pass over the store is. Without it the oldest rows, once they are all kept ones, would be every batch.
  let lookedUpTo = 0
  let nextPassAt = 0

  return {
    /**
     * Keeps a trace from now on, with what of it arrives later. Asking again while it is kept changes nothing; only
     * traces that are not kept yet count against {@link MAX_KEPT_PER_HOUR}.
     */
    keep(traceId: string): Keeping {
      const time = now()
      const id = Buffer.from(traceId, 'hex')
      if (!firstRequest.get(id)) return { kind: 'unknown' }
      const already = keptUntil.get(id, time)
      if (already) return { kind: 'kept', until: Number(already.kept_until) }
      const oldest = lastOfQuota.get(time - HOUR_MS)
      if (oldest) return { kind: 'too_many', retryAt: Number(oldest.kept_at) + HOUR_MS }
      insertKept.run(id, time, time + keptMs)
      return { kind: 'kept', until: time + keptMs }
    },

    /** Until when a trace stays whole: its first request goes first. Undefined when nothing of it is here. */
    stay(traceId: string): Stay | undefined {
      const id = Buffer.from(traceId, 'hex')
      const first = firstRequest.get(id)
      if (!first) return undefined
      const kept = keptUntil.get(id, now())
      if (kept) return { kept: true, until: Number(kept.kept_until) }
      return { kept: false, until: Number(first.received_at) + retentionMs }
    },

    /**
     * Deletes what is past its time from one bounded batch of requests; tells how many, and whether there may be more.
     * A request with spans of a kept trace stays, whatever else is in it, and is looked at again within the hour.
     */
    expire(): { deleted: number; more: boolean } {
      const time = now()
      if (time >= nextPassAt) {
        lookedUpTo = 0
        nextPassAt = Number.POSITIVE_INFINITY
      }
      const from = lookedUpTo
      const batch = lookAt.get(from, time - retentionMs)
      const looked = Number(batch?.looked ?? 0)
      const deleted = looked === 0 ? 0 : Number(deleteAged.run(from, time - retentionMs, time).changes)
      if (looked > 0) lookedUpTo = Number(batch?.last)
      const more = looked === RETENTION_BATCH
      // Not before a pass has reached its end: a large store would never be seen to the last.
      if (!more && nextPassAt === Number.POSITIVE_INFINITY) {
        // Lapsed marks count for nothing any more, but those of the last hour for the quota.
        deleteLapsed.run(time - HOUR_MS)
        nextPassAt = time + LOOK_AGAIN_MS
      }
      return { deleted, more }
    },
  }
}
