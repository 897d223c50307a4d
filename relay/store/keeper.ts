/**
 * Copies the spans of kept traces out of the hours, which go, into the database that stays.
 *
 * It follows the outboxes like a destination does, with a cursor of its own: after a crash it goes on where it was, and
 * what it does twice it has done once.
 */
import { setImmediate as breath } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { slice } from '../scan/scan.ts'
import { DamagedHour, type Entry, type StoredRequest } from './hour-reader.ts'
import type { Journal } from './journal.ts'
import type { Cursor, Kept } from './kept.ts'
import { entriesAfter, placesOf } from './outbox.ts'
import { KEEPER } from './retention.ts'

/** Rows of the outbox between two notes of how far it has come. */
const ROWS = 64
/** Copies that wait to be written together: a transaction each costs several times what the copy does. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** Of what comes out of decompression. */
const CHUNK_BYTES = 256 * 1024

/** Copies whenever it is woken, in small steps. `onError` is told why something was not copied. */
export function createKeeper(journal: Journal, kept: Kept, keptMs: number, onError: (error: unknown) => void) {
  let cursor: Cursor = kept.cursors().get(KEEPER) ?? { file: 0, seq: 0 }
  let running: Promise<void> | undefined
  let stopped = false
  let waiting: { file: number; resolve: () => void }[] = []
  /** The request that was read last: several of its traces may be due, one after another. */
  let read = { file: 0, request: 0, body: Buffer.alloc(0) }
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
    for (;;) {
      const entries = entriesAfter(journal.hours(), cursor, ROWS)
      const last = entries.at(-1)
      if (!last) return
      for (const entry of entries.filter(({ keep }) => keep)) await copy(entry)
      if (stopped) return
      writeCopies()
      kept.advance(KEEPER, last)
      cursor = last
      settle(last.file)
    }
  }

  /** Whoever waits for what is before this file need not wait any more. */
  function settle(before: number): void {
    for (const { resolve } of waiting.filter(({ file }) => file < before)) resolve()
    waiting = waiting.filter(({ file }) => file >= before)
  }

  function writeCopies(): void {
    const all = copies
    copies = []
    copiedBytes = 0
    kept.together(() => {
      for (const write of all) write()
    })
  }

  async function copy(entry: Entry): Promise<void> {
    const { traceId } = entry
    const mark = journal.markOf(traceId)
    for (const reason of ['error', 'report'] as const) {
      const until = mark[reason]
      if (until > 0) copies.push(() => kept.keepMark(traceId, reason, until - keptMs, until))
    }
    for (const place of placesOf(journal.hours(), entry)) {
      // Requests come first: they wait in the same thread.
      await breath()
      if (stopped) return
      const stored = journal
        .hours()
        .find(({ name }) => name.file === place.file)
        ?.read.request(place.request)
      const body = stored && cutOrPass(stored, traceId)
      if (!body) continue
      copies.push(() => kept.keepRequest(traceId, { ...stored, body }))
      copiedBytes += body.length
      if (copiedBytes > MAX_WAITING_BYTES) writeCopies()
    }
  }

  /** Undefined when it cannot be read any more: the others must not wait for ever. */
  function cutOrPass(stored: StoredRequest, traceId: string): Uint8Array | undefined {
    try {
      const { file, request, encoding } = stored
      if (read.file !== file || read.request !== request)
        read = { file, request, body: gunzipSync(stored.body, { chunkSize: CHUNK_BYTES }) }
      const spans = slice(read.body, encoding, (id) => id === traceId)
      return spans && gzipSync(spans)
    } catch (error) {
      onError(error)
      return undefined
    }
  }

  function wake(): void {
    if (stopped) return
    running ??= copyAll()
      .catch(onError)
      .finally(() => {
        running = undefined
        settle(Number.POSITIVE_INFINITY)
      })
  }

  return {
    wake,
    /** Resolves when everything that became due up to and with a file is copied, or cannot be now. */
    async passed(file: number): Promise<void> {
      wake()
      if (running && cursor.file <= file) await new Promise<void>((resolve) => waiting.push({ file, resolve }))
    },
    /** Resolves when it has stopped for good. */
    async stop(): Promise<void> {
      stopped = true
      await running
    },
  }
}
