/**
 * Copies the spans of kept traces out of the hours, which go, into the database that stays.
 *
 * It follows the outboxes like a destination does, with a cursor of its own: after a crash it goes on where it was, and
 * what it does twice it has done once.
 */
import { setImmediate as breath } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { slice } from '../forward/slice.ts'
import { DamagedHour, type Entry, type StoredRequest } from './hour-reader.ts'
import type { Journal } from './journal.ts'
import type { Cursor, Kept } from './kept.ts'
import { entriesAfter, placesOf } from './outbox.ts'
import { KEEPER } from './retention.ts'

/** Rows of the outbox between two notes of how far it has come. */
const ROWS = 64

/** Copies whenever it is woken, in small steps. `onError` is told why it has stopped before the end. */
export function createKeeper(journal: Journal, kept: Kept, keptMs: number, onError: (error: unknown) => void) {
  let cursor: Cursor = kept.cursors().get(KEEPER) ?? { file: 0, seq: 0 }
  let running: Promise<void> | undefined
  let stopped = false

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
      kept.advance(KEEPER, last)
      cursor = last
    }
  }

  async function copy(entry: Entry): Promise<void> {
    const { traceId } = entry
    const mark = journal.markOf(traceId)
    for (const reason of ['error', 'report'] as const) {
      if (mark[reason] > 0) kept.keepMark(traceId, reason, mark[reason] - keptMs, mark[reason])
    }
    for (const place of placesOf(journal.hours(), entry)) {
      // Requests come first: they wait in the same thread.
      await breath()
      if (stopped) return
      const stored = journal
        .hours()
        .find(({ name }) => name.file === place.file)
        ?.read.request(place.request)
      const body = stored && cut(stored, traceId)
      if (body) kept.keepRequest(traceId, { ...stored, body })
    }
  }

  function wake(): void {
    if (stopped) return
    running ??= copyAll()
      .catch(onError)
      .finally(() => {
        running = undefined
      })
  }

  return {
    wake,
    /** Resolves when everything that is due is copied, or could not be. */
    async done(): Promise<void> {
      wake()
      await running
    },
    /** Resolves when it has stopped for good. */
    async stop(): Promise<void> {
      stopped = true
      await running
    },
  }
}

function cut({ body, encoding }: StoredRequest, traceId: string): Uint8Array | undefined {
  const spans = slice(gunzipSync(body), encoding, (id) => id === traceId)
  return spans && gzipSync(spans)
}
