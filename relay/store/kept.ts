/** The database beside the hours, written: kept traces, cursors and dead letters. */
import type { DatabaseSync } from 'node:sqlite'
import type { Encoding } from '../otlp.ts'
import { hex, type StoredRequest } from './hour-reader.ts'
import type { Reason } from './marks.ts'

/** Requests of one kept trace: as many as a look-up reads. */
const MAX_REQUESTS = 1_000
/** Rows deleted at a time, and how often in a row: what is left waits for the next time. */
const BATCH = 200
const MAX_BATCHES = 20
/** Letters kept, and their bytes together: enough to see what is wrong with them. The oldest go. */
const MAX_LETTERS = 1_000
const MAX_LETTER_BYTES = 64 * 1024 * 1024

/** What a backend has refused for good. */
export interface Letter {
  destination: string
  refusedAt: number
  status: number
  /** The beginning of its answer. */
  reason: string
  encoding: Encoding
  spans: number
  body: Uint8Array
}
/** A row of the outboxes; those of a file with a lower number come before. */
export interface Cursor {
  file: number
  seq: number
}

/** All of it throws what SQLite throws. */
export function createKept(db: DatabaseSync) {
  const upsertMark = db.prepare(
    `INSERT INTO mark (trace_id, reason, at, until) VALUES (?, ?, ?, ?)
     ON CONFLICT (trace_id, reason) DO UPDATE SET at = excluded.at, until = excluded.until`,
  )
  const insertRequest = db.prepare(
    `INSERT OR IGNORE INTO kept_request (trace_id, file, request_id, received_at, encoding, body)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6
     WHERE (SELECT count(*) FROM kept_request WHERE trace_id = ?1) < ${MAX_REQUESTS}`,
  )
  const writeCursor = db.prepare(
    `INSERT INTO cursor (reader, file, seq) VALUES (?, ?, ?)
     ON CONFLICT (reader) DO UPDATE SET file = excluded.file, seq = excluded.seq`,
  )
  const cursors = db.prepare('SELECT reader, file, seq FROM cursor')
  const insertLetter = db.prepare(
    `INSERT INTO dead_letter (destination, refused_at, status, reason, encoding, spans, body)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const letterRoom = db.prepare('SELECT count(*) AS letters, total(length(body)) AS bytes FROM dead_letter')
  const dropLetter = db.prepare('DELETE FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter)')
  const lapsed = db.prepare('SELECT trace_id, reason FROM mark WHERE until <= ? LIMIT ?')
  // What was reported goes last: somebody was told that it stays.
  const oldest = db.prepare(
    `SELECT trace_id FROM mark GROUP BY trace_id
     ORDER BY max(reason = 'report'), max(at) LIMIT ?`,
  )
  const dropMark = db.prepare('DELETE FROM mark WHERE trace_id = ? AND reason = ?')
  const dropMarks = db.prepare('DELETE FROM mark WHERE trace_id = ?')
  const dropRequests = db.prepare(
    'DELETE FROM kept_request WHERE trace_id = ?1 AND NOT EXISTS (SELECT 1 FROM mark WHERE trace_id = ?1)',
  )
  const marks = db.prepare('SELECT trace_id, reason, until FROM mark')
  const marksOf = db.prepare('SELECT reason, until FROM mark WHERE trace_id = ?')
  const lastFile = db.prepare(
    'SELECT max((SELECT coalesce(max(file), 0) FROM cursor), (SELECT coalesce(max(file), 0) FROM kept_request)) AS file',
  )
  const hasTrace = db.prepare('SELECT 1 FROM kept_request WHERE trace_id = ? LIMIT 1')
  const pages = db.prepare(
    `SELECT (page_count - freelist_count) * page_size AS bytes
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
  )

  /** All or nothing. */
  function transaction(work: () => void): void {
    db.exec('BEGIN IMMEDIATE')
    try {
      work()
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }

  /** Bytes in use; freed pages are used again before the file grows. */
  const usedBytes = () => Number(pages.get()?.bytes ?? 0)

  return {
    marks: () => marks.iterate() as Iterable<{ trace_id: Uint8Array; reason: Reason; until: number }>,
    marksOf: (traceId: string) =>
      marksOf.all(Buffer.from(traceId, 'hex')) as unknown as { reason: Reason; until: number }[],
    /** The highest number of an hour's file that anything here speaks of. */
    lastFile: () => Number(lastFile.get()?.file ?? 0),
    hasTrace: (traceId: string) => hasTrace.get(Buffer.from(traceId, 'hex')) !== undefined,

    keepMark(traceId: string, reason: Reason, at: number, until: number): void {
      upsertMark.run(Buffer.from(traceId, 'hex'), reason, at, until)
    },

    /** Adds the spans of a trace that one request had. Again, or with {@link MAX_REQUESTS} of it here, does nothing. */
    keepRequest(traceId: string, { file, request, receivedAt, encoding, body }: StoredRequest): void {
      insertRequest.run(Buffer.from(traceId, 'hex'), file, request, receivedAt, encoding, body)
    },

    /** What `work` writes is written at once: all of it or nothing. */
    together: transaction,

    cursors(): Map<string, Cursor> {
      return new Map(cursors.all().map((row) => [String(row.reader), { file: Number(row.file), seq: Number(row.seq) }]))
    },

    /** Remembers that a reader is done with what is up to `cursor`, and what became of it: both or neither. */
    advance(reader: string, { file, seq }: Cursor, letters: readonly Letter[] = []): { lettersDropped: number } {
      let lettersDropped = 0
      transaction(() => {
        for (const { destination, refusedAt, status, reason, encoding, spans, body } of letters) {
          insertLetter.run(destination, refusedAt, status, reason, encoding, spans, body)
        }
        if (letters.length > 0) {
          for (let room = letterRoom.get(); isFull(room); room = letterRoom.get()) {
            dropLetter.run()
            lettersDropped += 1
          }
        }
        writeCursor.run(reader, file, seq)
      })
      return { lettersDropped }
    },

    /** Remembers how far a reader is, together with what else {@link together} writes. */
    moveCursor(reader: string, { file, seq }: Cursor): void {
      writeCursor.run(reader, file, seq)
    },

    /**
     * Lets go what is kept until `at` or less, then the oldest while more than `maxBytes` are in use; tells how many
     * traces. `untilOf` says until when a trace is kept for a reason: it may have been told so since it was copied.
     */
    expire(
      at: number,
      maxBytes: number,
      untilOf: (traceId: string, reason: Reason) => number,
    ): { lapsed: number; evicted: number } {
      const count = { lapsed: 0, evicted: 0 }
      for (let batch = 0; batch < MAX_BATCHES; batch++) {
        const rows = lapsed.all(at, BATCH)
        transaction(() => {
          for (const row of rows) {
            const traceId = row.trace_id as Uint8Array
            const reason = row.reason as Reason
            const until = untilOf(hex(traceId), reason)
            if (until > at) {
              upsertMark.run(traceId, reason, at, until)
              continue
            }
            dropMark.run(traceId, reason)
            count.lapsed += Number(dropRequests.run(traceId).changes > 0)
          }
        })
        if (rows.length < BATCH) break
      }
      for (let batch = 0; batch < MAX_BATCHES && usedBytes() > maxBytes; batch++) {
        const rows = oldest.all(BATCH)
        if (rows.length === 0) break
        for (const { trace_id } of rows) {
          if (usedBytes() <= maxBytes) break
          transaction(() => {
            dropMarks.run(trace_id as Uint8Array)
            dropRequests.run(trace_id as Uint8Array)
          })
          count.evicted += 1
        }
      }
      return count
    },

    /** Puts everything onto the disk: before what it was copied from goes. */
    checkpoint(): void {
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    },
  }
}

export type Kept = ReturnType<typeof createKept>

function isFull(room: Record<string, unknown> | undefined): boolean {
  const letters = Number(room?.letters)
  return letters > MAX_LETTERS || (letters > 1 && Number(room?.bytes) > MAX_LETTER_BYTES)
}
