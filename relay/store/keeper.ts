/**
 * Copies the spans of kept traces out of the hours, which go, into the database that stays.
 *
 * It follows the outboxes like a destination does, with a cursor of its own: after a crash it goes on where it was, and
 * what it does twice it has done once.
 */
import { setImmediate as breath } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { giveBack } from '../give-back.ts'
import { chunkSizeOf } from '../gzip-trailer.ts'
import { slice } from '../scan/scan.ts'
import { DamagedHour, type Entry, type RequestPlace, type StoredRequest } from './hour-reader.ts'
import type { Journal } from './journal.ts'
import type { Cursor, Kept } from './kept.ts'
import { entriesAfter, placesOf } from './outbox.ts'
import { KEEPER } from './retention.ts'

/** Rows of the outbox that are copied together: of one request many traces may be due. */
const ROWS = 512
/** Copies that wait to be written together: a transaction each costs several times what the copy does. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** How long it waits for more. Nothing is at stake: what it copies stays where it is for hours. */
const LINGER_MS = 250
/** A trace's few spans pack no better with more memory or effort, and take half as long again. */
const PACKING = { level: 1, memLevel: 6, windowBits: 13, chunkSize: 4096 }

/** A request and the kept traces it has spans of. */
interface Cut {
  place: RequestPlace
  traceIds: Set<string>
}

/** Copies some time after it is woken, in small steps. `onError` is told why something was not copied. */
export function createKeeper(journal: Journal, kept: Kept, keptMs: number, onError: (error: unknown) => void) {
  let cursor: Cursor = kept.cursors().get(KEEPER) ?? { file: 0, seq: 0 }
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let woken = false
  let stopped = false
  let waiting: { file: number; resolve: () => void }[] = []
  let copies: (() => void)[] = []
  let copiedBytes = 0

  /** A damaged hour is set aside: it must not hold up the others for ever. */
  async function copyAll(): Promise<void> {
    try {
      await copyRest()
    } catch (error) {
      if (!(error instanceof DamagedHour)) throw error
      journal.putAside(error)
      await copyAll()
    }
  }

  async function copyRest(): Promise<void> {
    // Of a try that failed.
    copies = []
    copiedBytes = 0
    for (;;) {
      const entries = entriesAfter(journal.hours(), cursor, ROWS)
      const last = entries.at(-1)
      if (!last) return settle(Number.POSITIVE_INFINITY)
      const due = entries.filter(({ keep }) => keep)
      for (const traceId of new Set(due.map(({ traceId }) => traceId))) copyMarks(traceId)
      for (const cut of cutsOf(due)) {
        // Requests come first: they wait in the same thread.
        await breath()
        if (stopped) return
        copy(cut)
      }
      writeCopies(() => kept.moveCursor(KEEPER, last))
      cursor = last
      settle(last.file)
      if (entries.length < ROWS && waiting.length === 0) {
        woken = true
        return
      }
    }
  }

  /** Whoever waits for what is before this file need not wait any more. */
  function settle(before: number): void {
    for (const { resolve } of waiting.filter(({ file }) => file < before)) resolve()
    waiting = waiting.filter(({ file }) => file >= before)
  }

  function writeCopies(andThen = () => {}): void {
    const all = copies
    copies = []
    copiedBytes = 0
    kept.together(() => {
      for (const write of all) write()
      andThen()
    })
  }

  /** Each request once, in order, however many rows are about it. */
  function cutsOf(due: readonly Entry[]): Iterable<Cut> {
    const cuts = new Map<string, Cut>()
    for (const entry of due) {
      for (const place of placesOf(journal.hours(), entry)) {
        const key = `${place.file}/${place.request}`
        const cut = cuts.get(key) ?? { place, traceIds: new Set() }
        cut.traceIds.add(entry.traceId)
        cuts.set(key, cut)
      }
    }
    return cuts.values()
  }

  function copyMarks(traceId: string): void {
    const mark = journal.markOf(traceId)
    for (const reason of ['error', 'report'] as const) {
      const until = mark[reason]
      if (until > 0) copies.push(() => kept.keepMark(traceId, reason, until - keptMs, until))
    }
  }

  function copy({ place, traceIds }: Cut): void {
    const stored = journal
      .hours()
      .find(({ name }) => name.file === place.file)
      ?.read.request(place.request)
    if (!stored) return
    for (const [traceId, body] of cutOrPass(stored, traceIds)) {
      copies.push(() => kept.keepRequest(traceId, { ...stored, body }))
      copiedBytes += body.length
    }
    if (copiedBytes > MAX_WAITING_BYTES) writeCopies()
  }

  /** Nothing when it cannot be read any more: the others must not wait for ever. */
  function cutOrPass({ encoding, body }: StoredRequest, traceIds: Set<string>): [string, Uint8Array][] {
    try {
      const whole = gunzipSync(body, { chunkSize: chunkSizeOf(body) })
      // All of them first, so that only they are gone through for each.
      const some = slice(whole, encoding, (id) => traceIds.has(id))
      if (some !== whole) giveBack(whole)
      giveBack(body)
      if (!some) return []
      return [...traceIds].flatMap((traceId) => {
        const spans = traceIds.size === 1 ? some : slice(some, encoding, (id) => id === traceId)
        return spans ? [[traceId, gzipSync(spans, PACKING)]] : []
      })
    } catch (error) {
      onError(error)
      return []
    }
  }

  function start(): void {
    clearTimeout(timer)
    timer = undefined
    woken = false
    running ??= copyAll()
      .catch((error) => {
        onError(error)
        settle(Number.POSITIVE_INFINITY)
      })
      .finally(() => {
        running = undefined
        if (waiting.length > 0) start()
        else if (woken) wake()
      })
  }

  function wake(): void {
    woken = true
    if (!stopped && !running) timer ??= setTimeout(start, LINGER_MS)
  }

  return {
    wake,
    /** Resolves when everything that became due up to and with a file is copied, or cannot be now. */
    async passed(file: number): Promise<void> {
      if (stopped || cursor.file > file) return
      const passed = new Promise<void>((resolve) => waiting.push({ file, resolve }))
      start()
      await passed
    },
    /** Resolves when it has stopped for good. */
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(timer)
      await running
      settle(Number.POSITIVE_INFINITY)
    },
  }
}
