/**
 * The hindsight store: every request of the last hours, found by trace ID, what is kept beyond them, and the outbox.
 *
 * It reads here and writes in a thread of its own.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { METRICS } from '../../metric-names.ts'
import { counter, gauge } from '../../metrics.ts'
import { isDamage, openDatabase, setAside, WrongVersion } from './database.ts'
import { type HourName, listHours, pathOf, sizeOf } from './hour-files.ts'
import {
  createHourReader,
  DamagedHour,
  type Entry,
  type HourReader,
  type RequestPlace,
  type StoredRequest,
} from './hour-reader.ts'
import type { Keeping, NewRequest, Written } from './journal.ts'
import type { Cursor, Letter } from './kept.ts'
import { createLookUp } from './look-up.ts'
import { entriesAfter, entriesBeyond, placesOf } from './outbox.ts'
import type { Stay, Terms } from './retention.ts'
import { createTail, type Tail } from './tail.ts'
import { createWriter, type Notice, StoreUnavailable } from './writer-thread.ts'

/** Requests and bytes waiting for the disk; more than this means that it does not keep up. ≈ 2 s of peak. */
const MAX_PENDING = 1_000
const MAX_PENDING_BYTES = 64 * 1024 * 1024

const queueDepth = gauge(METRICS.relayQueue)
const queueCapacity = gauge(METRICS.relayQueueCapacity)
const usedBytes = gauge(METRICS.relayStoreBytes)
const capacityBytes = gauge(METRICS.relayStoreCapacity)
const lost = counter(METRICS.relayLosses)
const spansBy = counter(METRICS.relaySpans)
const countKept = spansBy.tally({ result: 'kept', reason: 'none' })

/** What the store has lost or left behind since it was opened. */
export interface Losses {
  /** Files set aside because they were damaged. */
  damaged: number
  /** Hours that went before their time, for want of room. */
  early: number
  /** Spans that were due and went before they could be forwarded. */
  unforwarded: number
  /** Kept traces that went before their time: not copied when their hour went, or no room. */
  unkept: number
  /** Dead letters that had to go for newer ones. */
  letters: number
}

/** What the metric calls them. */
const LOSSES = {
  damaged: 'damaged_file',
  early: 'early_hour',
  unforwarded: 'unforwarded_span',
  unkept: 'unkept_trace',
  letters: 'dead_letter',
} as const satisfies Record<keyof Losses, string>

export type Store = ReturnType<typeof openStore>

interface Pending {
  request: NewRequest
  resolve: () => void
  reject: (error: Error) => void
}
interface OpenHour {
  name: HourName
  db: DatabaseSync
  read: HourReader
  tail: Tail
}

/**
 * Opens or creates the store in a folder. A damaged file is set aside. Throws when the folder cannot be written or is in
 * use, or with a message that names the file when one has another schema version. `onNotice` hears what the store does
 * by itself; `destination` is the reader whose losses are counted.
 */
export function openStore(
  folder: string,
  terms: Terms,
  { now = Date.now, onNotice = () => {}, destination = '' }: Options = {},
) {
  mkdirSync(folder, { recursive: true })
  const lock = lockFolder(folder)
  const losses: Losses = { damaged: 0, early: 0, unforwarded: 0, unkept: 0, letters: 0 }
  /** Oldest first. */
  const hours: OpenHour[] = []
  const opened = [lock]
  let keptDb: DatabaseSync
  try {
    keptDb = openKept()
    opened.push(keptDb)
    listHours(folder).forEach(openHour)
  } catch (error) {
    for (const db of [...hours.map(({ db }) => db), ...opened]) db.close()
    throw error
  }
  const writer = createWriter({ folder, terms, destination }, heed)
  const lookUp = createLookUp({
    keptDb,
    names: () => hours.map(({ name }) => name),
    each: (read) => readEach([...hours], read),
    eachBackwards: (read) => readEach(hours.toReversed(), read),
    windowMs: terms.retentionMs,
    keptMs: terms.keptMs,
  })

  function openKept(): DatabaseSync {
    const path = join(folder, 'kept.sqlite')
    try {
      return openDatabase(path, 'kept.sql', 'read')
    } catch (error) {
      if (!isDamage(error)) throw error
      setAside(path)
      damaged(path, error)
      return openDatabase(path, 'kept.sql', 'read')
    }
  }

  function openHour(name: HourName): void {
    const path = pathOf(folder, name)
    try {
      const db = openDatabase(path, 'hour.sql', 'read')
      const tail = createTail(db)
      hours.push({ name, db, read: createHourReader(db, name.file, tail), tail })
    } catch (error) {
      if (error instanceof WrongVersion) throw error
      // What cannot be read only now (a full disk, say) may be with the next start.
      if (isDamage(error)) setAside(path)
      damaged(path, error)
    }
  }

  function damaged(path: string, error: unknown): void {
    lose('damaged', 1)
    onNotice({ kind: 'damaged', path, message: error instanceof Error ? error.message : String(error) })
  }

  function lose(what: keyof Losses, count: number): void {
    losses[what] += count
    lost.add({ kind: LOSSES[what] }, count)
  }

  const hourOf = (file: number) => hours.find(({ name }) => name.file === file)

  function closeHour(file: number): void {
    const at = hours.findIndex(({ name }) => name.file === file)
    for (const { db } of at < 0 ? [] : hours.splice(at, 1)) db.close()
  }

  function heed(notice: Notice): void {
    if (writer.isClosed()) return
    if (notice.kind === 'opened') {
      openHour(notice.name)
      return
    }
    if (notice.kind === 'uncopied') {
      onNotice(notice)
      return
    }
    if (notice.kind === 'damaged') {
      closeHour(notice.name.file)
      damaged(pathOf(folder, notice.name), notice.message)
      return
    }
    const { file, why, unforwarded, uncopied } = notice.gone
    closeHour(file)
    lose('early', Number(why === 'room'))
    lose('unforwarded', unforwarded)
    lose('unkept', uncopied)
    spansBy.add({ result: 'dropped', reason: 'no_room' }, unforwarded)
    onNotice({ kind: 'gone', file, why, unforwardedSpans: unforwarded, unkeptTraces: uncopied })
  }

  function* readEach<T>(some: OpenHour[], read: (hour: HourReader, name: HourName) => Iterable<T>): Generator<T> {
    for (const hour of some) {
      if (!hour.db.isOpen) continue
      try {
        yield* read(hour.read, hour.name)
      } catch (error) {
        if (!(error instanceof DamagedHour)) throw error
        reportDamage(error)
      }
    }
  }

  /** The writer sets it aside, and tells; until then it is left out of what is read here. */
  function reportDamage({ file, cause }: DamagedHour): void {
    writer.ask({ kind: 'putAside', file, why: String(cause) }).catch(() => {})
  }

  /** Throws {@link DamagedHour} once; with the next try that hour is gone. */
  function watched<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (error instanceof DamagedHour) reportDamage(error)
      throw error
    }
  }

  let pending: Pending[] = []
  let pendingBytes = 0
  let committing = false

  /** Whatever came in while the last transaction was under way shares the next: an fsync for all, not one each. */
  async function commit(): Promise<void> {
    committing = true
    while (pending.length > 0) {
      const batch = pending
      pending = []
      pendingBytes = 0
      try {
        const requests = batch.map(({ request }) => request)
        follow(requests, await writer.ask({ kind: 'append', at: now(), requests }))
        for (const { resolve } of batch) resolve()
      } catch (cause) {
        for (const { reject } of batch) reject(new StoreUnavailable('The store cannot write.', { cause }))
      }
    }
    committing = false
  }

  /** What was written is found by its traces from now on, before anybody is told that it is there. */
  function follow(requests: readonly NewRequest[], { file, first, indexed, due }: Written): void {
    countKept(due)
    const tail = hours.find(({ name }) => name.file === file)?.tail
    if (indexed) tail?.clear()
    else for (const [index, { traces }] of requests.entries()) tail?.add(first + index, traces)
  }

  queueCapacity.set({}, MAX_PENDING)
  queueDepth.whenAsked(() => queueDepth.set({}, pending.length))
  capacityBytes.set({}, terms.maxBytes)
  usedBytes.whenAsked(() => {
    const paths = [join(folder, 'kept.sqlite'), ...hours.map(({ name }) => pathOf(folder, name))]
    usedBytes.set(
      {},
      paths.reduce((sum, path) => sum + sizeOf(path), 0),
    )
  })

  return {
    shared: false,
    limits: '',

    /** Resolves when the request is on disk. Rejects with {@link StoreUnavailable}; then nothing of it was kept. */
    append(request: NewRequest): Promise<void> {
      if (writer.isClosed()) return Promise.reject(new StoreUnavailable('The store is closed.'))
      if (pending.length >= MAX_PENDING || pendingBytes + request.body.length > MAX_PENDING_BYTES) {
        return Promise.reject(new StoreUnavailable('Too many requests are waiting.'))
      }
      return new Promise((resolve, reject) => {
        pending.push({ request, resolve, reject })
        pendingBytes += request.body.length
        // Not at once: what comes in the same turn of the loop goes together.
        if (!committing && pending.length === 1) setImmediate(() => committing || commit())
      })
    },

    find: lookUp.find,
    trace: lookUp.trace,
    recent: lookUp.recent,
    failed: lookUp.failed,
    arrivals: lookUp.arrivals,
    markOf: lookUp.markOf,
    stay: (traceId: string): Stay | undefined => lookUp.stay(traceId, now()),

    /** Keeps a trace, with what of it arrives later. Throws {@link StoreUnavailable}; then it is not kept. */
    keep: (traceId: string): Promise<Keeping> => writer.ask({ kind: 'keep', at: now(), traceId }),

    /** At most `limit` entries after a cursor; empty when there is nothing more. */
    entriesAfter: (cursor: Cursor, limit: number): Entry[] => watched(() => entriesAfter(hours, cursor, limit)),
    /** How many more entries there are after a cursor. */
    entriesBeyond: (cursor: Cursor): number => watched(() => entriesBeyond(hours, cursor)),
    /** The requests that an entry is about, oldest first. */
    placesOf: (entry: Entry): RequestPlace[] => watched(() => placesOf(hours, entry)),
    /** A request, if it is still here. */
    request: ({ file, request }: RequestPlace): StoredRequest | undefined =>
      watched(() => hourOf(file)?.read.request(request)),
    /** How many spans of a trace a request has. */
    spansIn: ({ file, request }: RequestPlace, traceId: string): number =>
      hourOf(file)?.read.spansIn(traceId, request) ?? 0,

    /** What a reader of the outbox is done with. */
    cursor(reader: string): Cursor {
      const row = keptDb.prepare('SELECT file, seq FROM cursor WHERE reader = ?').get(reader)
      return { file: Number(row?.file ?? 0), seq: Number(row?.seq ?? 0) }
    },

    /** Remembers that a reader is done with what is up to `cursor`, and what was refused of it. */
    async advance(reader: string, cursor: Cursor, letters: Letter[] = []): Promise<void> {
      const { lettersDropped } = await writer.ask({ kind: 'advance', reader, cursor, letters })
      lose('letters', lettersDropped)
    },

    /** Lets go what is past its time, and the oldest when there is no room. To be called now and then. */
    async tend(): Promise<void> {
      const { evicted } = await writer.ask({ kind: 'tend', at: now() })
      lose('unkept', evicted)
      if (evicted > 0) onNotice({ kind: 'evicted', traces: evicted })
    },

    /** Rejects when the store cannot take a write now. */
    check: (): Promise<void> => writer.ask({ kind: 'check', at: now() }),

    losses: (): Losses => ({ ...losses }),

    /** Commits what waits and closes everything. Safe to call twice. */
    async close(): Promise<void> {
      if (pending.length > 0 && !committing) void commit()
      const closing = writer.close()
      for (const { db } of hours.splice(0)) db.close()
      if (keptDb.isOpen) keptDb.close()
      await closing
      if (lock.isOpen) lock.close()
    },
  }
}

/** What the store does by itself, for the log. */
export type StoreNotice =
  | { kind: 'damaged'; path: string; message: string }
  | { kind: 'gone'; file: number; why: 'window' | 'room'; unforwardedSpans: number; unkeptTraces: number }
  | { kind: 'evicted'; traces: number }
  | { kind: 'uncopied'; message: string }

export interface Options {
  now?: () => number
  onNotice?: (notice: StoreNotice) => void
  destination?: string
}

/** Two relays on one folder would not know of one another's hours. The system lets go of the lock when a process dies. */
function lockFolder(folder: string): DatabaseSync {
  const lock = new DatabaseSync(join(folder, 'in-use.sqlite'))
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock.close()
    throw new Error(`The store ${folder} is in use by another relay.`, { cause })
  }
}
