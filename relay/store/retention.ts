/** How long what is stored stays: hours go as files when they are past the window, or early when there is no room. */
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { endOf, sizeOf, unlinkDatabase } from './hour-files.ts'
import type { Hour, Journal } from './journal.ts'
import type { Kept } from './kept.ts'

/** The store's limits; times in milliseconds. */
export interface Terms {
  /** How long requests stay at least. */
  retentionMs: number
  /** How long the traces that failed or were reported stay. */
  keptMs: number
  /** All files together. */
  maxBytes: number
}
/** Until when a trace stays, in milliseconds since 1970, and why when that is longer than the others. */
export interface Stay {
  kept: 'error' | 'report' | false
  until: number
}
/** An hour that is gone, and what went with it before anybody had come so far. */
export interface Gone {
  file: number
  why: 'window' | 'room'
  /** Spans that were due, and that the destination had not taken. */
  unforwarded: number
  /** Traces that should have been kept and were not copied yet. */
  uncopied: number
}

/** The part of `maxBytes` that kept traces and dead letters may have. */
const KEPT_SHARE = 0.25
/** The reader of the outbox that copies what is kept. */
export const KEEPER = 'kept'

export interface RetentionParts {
  folder: string
  keptPath: string
  terms: Terms
  /** Whose losses are counted; empty for nobody's. */
  destination: string
  journal: Journal
  kept: Kept
}

export function createRetention({ folder, keptPath, terms, destination, journal, kept }: RetentionParts) {
  /** Sizes of hours that nothing is written to any more. */
  const sizes = new Map<number, number>()

  function sizeOfHour(hour: Hour): number {
    const { name, path } = hour
    if (name.file === journal.hours().at(-1)?.name.file || journal.isUnfinished(hour)) return sizeOf(path)
    const size = sizes.get(name.file) ?? sizeOf(path)
    sizes.set(name.file, size)
    return size
  }

  /** Files on their way out: large ones take a tenth of a second, which nobody waits for. */
  const leaving = new Set<Promise<void>>()

  const usedBytes = () => journal.hours().reduce((sum, hour) => sum + sizeOfHour(hour), sizeOf(keptPath))

  /** The hours whose youngest request is past the window, oldest first. */
  function pastWindow(at: number): Hour[] {
    const names = journal.hours().map(({ name }) => name)
    return journal.hours().filter(({ name }) => endOf(names, name.file, terms.retentionMs) <= at)
  }

  /** The last row of a file that a reader is done with. */
  function seqOf(reader: string, file: number): number {
    const cursor = kept.cursors().get(reader)
    if (!cursor || cursor.file < file) return 0
    return cursor.file === file ? cursor.seq : Number.MAX_SAFE_INTEGER
  }

  /** Traces with spans in an hour that became due in a later one, which nobody has read so far. */
  function dueLater({ name, read }: Hour, reader: string, what: 'forward' | 'keep'): string[] {
    const later = journal.hours().filter((hour) => hour.name.file > name.file)
    const traceIds = later.flatMap((hour) => hour.read.dueLate(seqOf(reader, hour.name.file), what))
    return traceIds.filter((traceId) => read.spansOf(traceId) > 0)
  }

  function drop(hour: Hour, why: Gone['why']): Gone {
    const { file } = hour.name
    // What is lost is counted in its index.
    journal.finish(hour)
    const unforwarded = () =>
      dueLater(hour, destination, 'forward').reduce(
        (sum, traceId) => sum + hour.read.spansOf(traceId),
        hour.read.unforwardedSpans(seqOf(destination, file)),
      )
    const uncopied = [...hour.read.uncopiedTraces(seqOf(KEEPER, file)), ...dueLater(hour, KEEPER, 'keep')]
    const gone: Gone = {
      ...{ file, why, unforwarded: destination === '' ? 0 : unforwarded() },
      uncopied: new Set(uncopied).size,
    }
    // What was copied from it must be on the disk before it goes.
    kept.checkpoint()
    journal.release(hour)
    sizes.delete(file)
    const removed = unlinkDatabase(hour.path).finally(() => leaving.delete(removed))
    leaving.add(removed)
    return gone
  }

  return {
    pastWindow,

    /** Resolves when no file is on its way out any more. */
    settled: async (): Promise<void> => void (await Promise.all(leaving)),

    /** Lets the oldest hours go until there is room; tells whether there is, the current hour being never let go. */
    makeRoom(onGone: (gone: Gone) => void): boolean {
      if (usedBytes() <= terms.maxBytes) return true
      // What is in a log and in its file takes its room twice, for the moment.
      for (const hour of journal.hours()) journal.finish(hour)
      while (usedBytes() > terms.maxBytes) {
        const [oldest, next] = journal.hours()
        if (!oldest || !next) return false
        onGone(drop(oldest, 'room'))
      }
      return true
    },

    /** Lets go whatever is past its time. */
    expire(at: number, onGone: (gone: Gone) => void): { lapsed: number; evicted: number } {
      journal.settle(at)
      for (const hour of pastWindow(at)) onGone(drop(hour, 'window'))
      for (const name of readdirSync(folder).filter((name) => name.endsWith('.corrupt'))) {
        const path = join(folder, name)
        const writtenAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? at
        if (writtenAt + terms.retentionMs <= at) rmSync(path, { force: true })
      }
      return kept.expire(at, terms.maxBytes * KEPT_SHARE, (traceId, reason) => journal.markOf(traceId)[reason])
    },
  }
}
