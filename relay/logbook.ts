/**
 * What relay and server have logged about each run, for the support console: a small database beside the store, apart from
 * it because a line that is lost harms nobody. So lines are written late and together, and nobody waits for the disk.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Log } from './log.ts'
import { probe } from './scan/probe.ts'

/** What a line may say besides its message. Everything else goes, whoever sent it. */
const FIELDS = new Set([
  ...['method', 'route', 'status', 'ms', 'request_id', 'stage', 'outcome', 'attempt', 'code', 'failure', 'reason'],
  ...['cause', 'error_type'],
])
/** Words of ours: codes, routes, IDs. Nothing else of a line has more than one. */
const WORD = /^[\w./{}:-]{1,64}$/
const MAX_MESSAGE = 120

/** Lines of one run that are shown; a run has about twenty. */
const MAX_SHOWN = 200
/** Lines that wait to be written, and for how long. */
const MAX_WAITING = 2_000
const WRITE_EVERY_MS = 500
/** Lines in all: about 60 MB. Where they are in memory, because the traces are elsewhere, a tenth of it. */
const MAX_LINES = 300_000
const MAX_LINES_IN_MEMORY = 30_000
/** Deleted at a time, so that nobody waits for it. */
const MAX_DELETED = 5_000

export interface Line {
  traceId: string
  /** Milliseconds since 1970, by the clock of the service. */
  at: number
  service: string
  level: 'info' | 'warn' | 'error'
  message: string
  fields: Record<string, string | number>
}

export type Logbook = ReturnType<typeof openLogbook>

/** Opens the book in a store's folder, or in memory without one. */
export function openLogbook(folder: string | undefined, retentionMs: number, now: () => number = Date.now) {
  if (folder !== undefined) mkdirSync(folder, { recursive: true })
  const db = new DatabaseSync(folder === undefined ? ':memory:' : join(folder, 'logbook.sqlite'))
  // No sync: after a power cut the newest lines may be gone. The file stays sound, for WAL is written in order.
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS line (
      id       INTEGER PRIMARY KEY,
      trace_id TEXT    NOT NULL,
      at       INTEGER NOT NULL,
      taken_at INTEGER NOT NULL,
      line     TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS line_by_trace ON line (trace_id)`)
  const insert = db.prepare('INSERT INTO line (trace_id, at, taken_at, line) VALUES (?, ?, ?, ?)')
  const select = db.prepare('SELECT at, line FROM line WHERE trace_id = ? ORDER BY at, id LIMIT ?')
  const range = db.prepare('SELECT min(id) AS first, max(id) AS last FROM line')
  const firstYoung = db.prepare('SELECT id FROM line WHERE id >= ? AND taken_at >= ? ORDER BY id LIMIT 1')
  const remove = db.prepare('DELETE FROM line WHERE id < ?')
  const most = folder === undefined ? MAX_LINES_IN_MEMORY : MAX_LINES

  let waiting: Line[] = []
  let timer: NodeJS.Timeout | undefined
  let dropped = 0

  function write(): void {
    clearTimeout(timer)
    timer = undefined
    const lines = waiting
    waiting = []
    if (lines.length === 0) return
    try {
      db.exec('BEGIN')
      for (const { traceId, at, ...line } of lines) insert.run(traceId, at, now(), JSON.stringify(line))
      db.exec('COMMIT')
    } catch {
      // A full disk. The run's spans say so, too.
      if (db.isTransaction) db.exec('ROLLBACK')
      dropped += lines.length
    }
  }

  return {
    /** Takes a line in, within its bounds; what is not a line of a trace is left out. */
    add(line: Line): void {
      if (!/^[0-9a-f]{32}$/.test(line.traceId) || !Number.isFinite(line.at)) return
      if (waiting.length >= MAX_WAITING) {
        dropped += 1
        return
      }
      waiting.push({ ...line, message: messageOf(line.message), fields: fieldsOf(line.fields) })
      timer ??= setTimeout(write, WRITE_EVERY_MS).unref()
    },

    /** The lines of a trace, oldest first. */
    of(traceId: string): Line[] {
      write()
      return select
        .all(traceId, MAX_SHOWN)
        .map(({ at, line }) => ({ traceId, at, ...JSON.parse(String(line)) }) as Line)
    },

    /** To be called every few seconds: what is past its time goes, and what has no room. */
    tend(log: Log): void {
      write()
      const { first, last } = range.get() as { first: number | null; last: number | null }
      if (first !== null && last !== null) {
        const young = firstYoung.get(first, now() - retentionMs)
        const until = Math.max(young ? Number(young.id) : last + 1, last + 1 - most)
        remove.run(Math.min(until, first + MAX_DELETED))
      }
      if (dropped > 0) log.warn({ lines: dropped }, 'lines of the log are not in the console')
      dropped = 0
    },

    close(): void {
      write()
      db.close()
    },
  }
}

function messageOf(message: string): string {
  const cut = message.slice(0, MAX_MESSAGE)
  return probe(cut, false)?.value ?? cut
}

function fieldsOf(fields: Record<string, unknown>): Line['fields'] {
  const kept = Object.entries(fields).filter(
    (field): field is [string, string | number] =>
      FIELDS.has(field[0]) &&
      (typeof field[1] === 'number' ||
        (typeof field[1] === 'string' && WORD.test(field[1]) && !probe(field[1], field[0] === 'request_id'))),
  )
  return Object.fromEntries(kept)
}
