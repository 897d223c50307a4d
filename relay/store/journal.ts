/** The writing side of the hours: requests with everything they cause in one transaction, and reports. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Encoding } from '../otlp.ts'
import { TRACE_BYTES } from '../scan/trace-list.ts'
import { isDamage, openDatabase, setAside } from './database.ts'
import { type HourName, hourOf, lastFileIn, listHours, pathOf, sizeOf } from './hour-files.ts'
import { createHourReader, DamagedHour, type HourReader, hex } from './hour-reader.ts'
import { createIndexWriter } from './index-writer.ts'
import type { Kept } from './kept.ts'
import { createMarks, isInRatio, isWordInRatio, type Mark } from './marks.ts'
import type { Terms } from './retention.ts'
import { createTail, type Tail } from './tail.ts'

/** A request to keep: body gzipped, and the traces it has spans of, packed. */
export interface NewRequest {
  encoding: Encoding
  body: Uint8Array
  traces: Uint8Array
}
/** Where requests were written, in order: their numbers count up from `first`. */
export interface Written {
  file: number
  first: number
  /** Whether everything in the file is in its index now. */
  indexed: boolean
  /** Spans of them that were due when they came. */
  due: number
}
/** What came of the wish to keep a trace. Times in milliseconds since 1970. */
export type Keeping = { kind: 'kept'; until: number } | { kind: 'unknown' }

/** An hour's file, open. */
export interface Hour {
  name: HourName
  path: string
  db: DatabaseSync
  read: HourReader
  tail: Tail
}

/** Pairs of a trace and a request that may wait for their place in the index; ≈ 3 MB, in either thread. */
const MAX_TAIL = 16_384
/** Bytes in the file for each byte of a packed list of traces: the list and its rows of the index. */
const INDEXED = 3
/** Bytes of a file, after which the next begins before its hour is over: an index that is larger costs more to add to. */
const MAX_FILE_BYTES = 256 * 1024 * 1024
/** Files that the room is enough for, at least: what goes first is one of them. */
const MIN_FILES = 8

interface Writing extends Record<'request' | 'mark' | 'outbox', StatementSync> {
  index: (tail: Tail) => void
}

export interface JournalParts {
  folder: string
  terms: Terms
  kept: Kept
  /** A file is there to be read, from now on. */
  onOpen: (name: HourName) => void
  /** A file was found damaged, and is gone. */
  onDamage: (name: HourName, error: unknown) => void
}

/** Opens all hours of a folder. */
export function createJournal({ folder, terms, kept, onOpen, onDamage }: JournalParts) {
  const { keptMs } = terms
  const maxFileBytes = Math.min(MAX_FILE_BYTES, terms.maxBytes / MIN_FILES)
  /** Oldest first. What is new goes into the last. */
  let hours: Hour[] = []
  /** Statements of the last; undefined when nothing may be written to it. */
  let writing: Writing | undefined
  /** Hours that nothing is written to any more, and that are to be sealed. */
  const over = new Set<Hour>()
  /** Bytes that may still go into the last. */
  let room = 0
  // Also those that are gone: a cursor may stand in one, and what is new must come after it.
  let lastFile = Math.max(lastFileIn(folder), kept.lastFile())
  const marks = createMarks(readMark)

  for (const name of listHours(folder)) {
    try {
      hours.push(open(name))
    } catch (error) {
      onDamage(name, error)
    }
  }
  reloadMarks()
  // A crash has left what the tail of its time had.
  for (const hour of hours) seal(hour)

  function open(name: HourName): Hour {
    const path = pathOf(folder, name)
    const db = openDatabase(path, 'hour.sql', 'durable')
    const tail = createTail(db)
    return { name, path, db, read: createHourReader(db, name.file, tail), tail }
  }

  /** What all hours say, oldest first. One that turns out to be damaged is set aside. */
  function readEach<T>(read: (hour: HourReader) => T[]): T[] {
    return hours.flatMap((hour) => {
      try {
        return read(hour.read)
      } catch (error) {
        if (!(error instanceof DamagedHour)) throw error
        putAside(error)
        return []
      }
    })
  }

  function readMark(traceId: string): Mark {
    const mark: Mark = { error: 0, report: 0 }
    const rows = [...kept.marksOf(traceId), ...readEach((hour) => hour.marksOf(traceId))]
    for (const { reason, until } of rows) mark[reason] = Math.max(mark[reason], Number(until))
    return mark
  }

  function reloadMarks(): void {
    function* all() {
      for (const row of kept.marks()) {
        yield { traceId: hex(row.trace_id), reason: row.reason, until: Number(row.until) }
      }
      yield* readEach((hour) => [...hour.marks()])
    }
    marks.reload(all())
  }

  /** The file of the hour that `at` is in; a new one when the last is of another, or full. Throws what SQLite throws. */
  function current(at: number): Hour {
    const last = hours.at(-1)
    const hour = hourOf(at)
    if (last?.name.hour === hour && room > 0) return writing ? last : prepare(last)
    if (last) over.add(last)
    writing = undefined
    lastFile += 1
    const opened = open({ file: lastFile, hour })
    hours.push(opened)
    // Also drops from memory the marks that have lapsed, and those of files that are gone.
    reloadMarks()
    onOpen(opened.name)
    return prepare(opened)
  }

  function prepare(hour: Hour): Hour {
    const { db, path } = hour
    room = maxFileBytes - sizeOf(path)
    writing = {
      request: db.prepare('INSERT INTO request (received_at, encoding, traces, body) VALUES (?, ?, ?, ?)'),
      mark: db.prepare(
        `INSERT INTO mark (trace_id, reason, at, until) VALUES (?, ?, ?, ?)
         ON CONFLICT (trace_id, reason) DO UPDATE SET at = excluded.at, until = excluded.until`,
      ),
      outbox: db.prepare('INSERT INTO outbox (trace_id, request_id, earlier, forward, keep) VALUES (?, ?, ?, ?, ?)'),
      index: createIndexWriter(db),
    }
    return hour
  }

  /** Nothing is written to it any more: all of it goes into its index, and its log into the file. */
  function seal(hour: Hour): void {
    over.delete(hour)
    // What is not in the index is found without it, and the log is read along with the file. Closing tries again.
    if (tried(() => index(hour))) tried(() => checkpoint(hour))
  }

  const checkpoint = ({ db }: Hour) => db.exec('PRAGMA wal_checkpoint(TRUNCATE)')

  /** Whether it did not fail. */
  function tried(work: () => void): boolean {
    try {
      work()
      return true
    } catch {
      return false
    }
  }

  /** All of it on the disk, or none; a damaged file is set aside, so that the next try has a new one. */
  function transaction<T>(at: number, work: (hour: Hour, write: Writing) => T): T {
    const hour = current(at)
    const last = hour.tail.last()
    try {
      hour.db.exec('BEGIN IMMEDIATE')
      const result = work(hour, writing as Writing)
      hour.db.exec('COMMIT')
      marks.settle(true)
      return result
    } catch (error) {
      if (hour.db.isTransaction) hour.db.exec('ROLLBACK')
      marks.settle(false)
      hour.tail.rewind(last)
      if (error instanceof DamagedHour) putAside(error)
      else if (isDamage(error)) putAside(new DamagedHour(hour.name.file, error))
      throw error
    }
  }

  /** Puts all of an hour into its index. Throws what SQLite throws; then it is as before. */
  function index({ db, tail }: Hour): void {
    if (tail.size() === 0) return
    db.exec('BEGIN IMMEDIATE')
    try {
      createIndexWriter(db)(tail)
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
    tail.clear()
  }

  function putAside({ file, cause }: Pick<DamagedHour, 'file' | 'cause'>): void {
    const hour = hours.find(({ name }) => name.file === file)
    if (!hour) return
    if (hour === hours.at(-1)) writing = undefined
    hours = hours.filter((other) => other !== hour)
    over.delete(hour)
    hour.db.close()
    setAside(hour.path)
    onDamage(hour.name, cause)
  }

  /** Decides what is due with this request. A late error makes due what came before; nothing is decided twice. */
  function write({ encoding, traces, body }: NewRequest, at: number, to: Writing, tail: Tail) {
    let due = 0
    const id = Number(to.request.run(at, encoding, traces, body).lastInsertRowid)
    room -= body.length + traces.length * INDEXED
    tail.add(id, traces)
    const packed = Buffer.from(traces.buffer, traces.byteOffset, traces.length)
    for (let from = 0; from < packed.length; from += TRACE_BYTES) {
      const error = (packed.readUInt32BE(from + 16) & 1) === 1
      const ratio = isWordInRatio(packed.readInt32BE(from + 8))
      if (!error && !ratio && !marks.mayHave(packed.readInt32BE(from + 12))) continue
      const key = packed.subarray(from, from + 16)
      const traceId = key.toString('hex')
      const mark = marks.of(traceId)
      const kept = mark.error > at || mark.report > at
      if (!ratio && !kept && !error) continue
      if (error && mark.error <= at) {
        marks.set(traceId, 'error', at + keptMs)
        to.mark.run(key, 'error', at, at + keptMs)
        // What the ratio or a report has sent on already is not sent again, but kept from now on.
        if (!kept) to.outbox.run(key, id - 1, 1, Number(!ratio), 1)
      }
      to.outbox.run(key, id, 0, 1, Number(kept || error))
      due += packed.readUInt32BE(from + 16) >>> 1
    }
    return { id, due }
  }

  return {
    hours: (): readonly Hour[] => hours,

    /** Writes them in one transaction: on the disk when it returns. Throws what SQLite throws; then none of them is kept. */
    append(requests: readonly NewRequest[], at: number): Written {
      const result = transaction(at, ({ name, tail }, to) => {
        const written = requests.map((request) => write(request, at, to, tail))
        const indexed = tail.size() >= MAX_TAIL
        if (indexed) to.index(tail)
        const due = written.reduce((sum, { due }) => sum + due, 0)
        return { file: name.file, first: written[0]?.id ?? 0, indexed, due }
      })
      if (result.indexed) hours.at(-1)?.tail.clear()
      return result
    },

    /** The file that would be written to now. */
    current,

    /**
     * Keeps a trace from now on, with what of it arrives later. Asking again while it is kept for a report changes
     * nothing.
     */
    keep(traceId: string, at: number): Keeping {
      const seen = readEach((hour) => [hour.firstSeen(traceId)]).some((at) => at !== undefined)
      if (!seen && !kept.hasTrace(traceId)) {
        return { kind: 'unknown' }
      }
      const { error, report } = marks.of(traceId)
      if (report > at) return { kind: 'kept', until: report }
      const until = at + keptMs
      const sent = error > at || isInRatio(traceId)
      transaction(at, ({ read }, to) => {
        const key = Buffer.from(traceId, 'hex')
        marks.set(traceId, 'report', until)
        to.mark.run(key, 'report', at, until)
        to.outbox.run(key, read.lastRequest(), 1, Number(!sent), 1)
      })
      return { kind: 'kept', until }
    },

    markOf: (traceId: string): Mark => marks.of(traceId),

    /** Whether an hour that is over is not all in its index and its file yet. */
    isUnfinished: (hour: Hour): boolean => over.has(hour),

    /** Puts it there now. */
    finish(hour: Hour): void {
      if (over.has(hour)) seal(hour)
    },

    /** Closes an hour's file and forgets it. */
    release(hour: Hour): void {
      if (hour === hours.at(-1)) writing = undefined
      hours = hours.filter((other) => other !== hour)
      over.delete(hour)
      hour.db.close()
    },

    /** An hour that is over, but had nothing after it, is sealed. */
    settle(at: number): void {
      const last = hours.at(-1)
      if (!last || !writing || last.name.hour === hourOf(at)) return
      writing = undefined
      seal(last)
    },

    /**
     * Does a part of what is left to be done for hours that others have begun after; tells whether there is more. At once
     * it took 30 to 90 ms, for which the first request of each hour waited: now a request waits for one part at most.
     */
    tidy(): boolean {
      const [hour] = over
      if (!hour) return false
      if (hour.tail.size() > 0 && tried(() => index(hour))) return true
      seal(hour)
      return over.size > 0
    },

    /** Takes a damaged hour out of use. */
    putAside,

    /** Throws when nothing can be written now. */
    check(at: number): void {
      current(at).db.exec('BEGIN IMMEDIATE; ROLLBACK')
    },

    close(): void {
      for (const { db } of hours) db.close()
      hours = []
      over.clear()
    },
  }
}

export type Journal = ReturnType<typeof createJournal>
