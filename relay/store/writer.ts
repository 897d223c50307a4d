/**
 * The store's writing thread.
 *
 * A thread of its own, because a commit waits for the disk: measured, one in a hundred takes 25 to 150 ms on a busy
 * machine, and every stream through the relay would stand still for as long.
 */
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { giveBack } from '../give-back.ts'
import { openDatabase } from './database.ts'
import type { HourName } from './hour-files.ts'
import { createJournal, type Keeping, type NewRequest, type Written } from './journal.ts'
import { createKeeper } from './keeper.ts'
import { type Cursor, createKept, type Letter } from './kept.ts'
import { createRetention, type Gone, type Terms } from './retention.ts'

export interface WriterOptions {
  folder: string
  terms: Terms
  /** The reader of the outbox whose losses are counted; empty for nobody's. */
  destination: string
}
/** What the writer can be asked for. `at` is the time, in milliseconds since 1970: it has no clock of its own. */
export type Call =
  | { kind: 'append'; at: number; requests: NewRequest[] }
  | { kind: 'keep'; at: number; traceId: string }
  | { kind: 'advance'; reader: string; cursor: Cursor; letters: Letter[] }
  | { kind: 'tend'; at: number }
  | { kind: 'check'; at: number }
  | { kind: 'putAside'; file: number; why: string }
  | { kind: 'close' }
/** What a call is answered with. */
export interface Answers {
  append: Written
  keep: Keeping
  advance: { lettersDropped: number }
  tend: { lapsed: number; evicted: number }
  check: undefined
  putAside: undefined
  close: undefined
}
/** What the writer tells by itself, or as the answer to the call with that number. */
export type Told =
  | { kind: 'answer'; id: number; value: Answers[Call['kind']] }
  | { kind: 'failure'; id: number; message: string }
  | { kind: 'opened'; name: HourName }
  | { kind: 'damaged'; name: HourName; message: string }
  | { kind: 'gone'; gone: Gone }
  | { kind: 'uncopied'; message: string }

const { folder, terms, destination } = workerData as WriterOptions
const tell = (told: Told) => parentPort?.postMessage(told)
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
const keptPath = join(folder, 'kept.sqlite')
const keptDb = openDatabase(keptPath, 'kept.sql', 'lazy')
const kept = createKept(keptDb)
const journal = createJournal({
  folder,
  terms,
  kept,
  onOpen: (name) => tell({ kind: 'opened', name }),
  onDamage: (name, error) => tell({ kind: 'damaged', name, message: messageOf(error) }),
})
const retention = createRetention({ folder, keptPath, terms, destination, journal, kept })
const keeper = createKeeper(journal, kept, terms.keptMs, (error) =>
  tell({ kind: 'uncopied', message: messageOf(error) }),
)
const onGone = (gone: Gone) => tell({ kind: 'gone', gone })

// What the process before this one had not copied.
keeper.wake()

async function answer(call: Call): Promise<Answers[Call['kind']]> {
  switch (call.kind) {
    case 'append': {
      journal.current(call.at)
      if (!retention.makeRoom(onGone)) throw new Error('The store is as large as it may be.')
      const written = journal.append(call.requests, call.at)
      // Copies, made for this thread.
      for (const { body } of call.requests) giveBack(body)
      keeper.wake()
      return written
    }
    case 'keep': {
      const keeping = journal.keep(call.traceId, call.at)
      keeper.wake()
      return keeping
    }
    case 'advance':
      return kept.advance(call.reader, call.cursor, call.letters)
    case 'tend': {
      // A relay that was away for longer than the window must not lose what it should have kept.
      const last = retention.pastWindow(call.at).at(-1)
      if (last) await keeper.passed(last.name.file)
      const result = retention.expire(call.at, onGone)
      retention.makeRoom(onGone)
      await retention.settled()
      return result
    }
    case 'check':
      journal.check(call.at)
      return
    case 'putAside':
      journal.putAside({ file: call.file, cause: call.why })
      return
    case 'close':
      await keeper.stop()
      await retention.settled()
      journal.close()
      keptDb.close()
      return
  }
}

let tidying = false
/** Between two calls, never within one. */
function tidyLater(): void {
  if (tidying) return
  tidying = true
  setImmediate(function tidy() {
    if (journal.tidy()) setImmediate(tidy)
    else tidying = false
  })
}

parentPort?.on('message', async ({ id, call }: { id: number; call: Call }) => {
  try {
    tell({ kind: 'answer', id, value: await answer(call) })
  } catch (error) {
    tell({ kind: 'failure', id, message: messageOf(error) })
  }
  if (call.kind === 'close') parentPort?.close()
  else tidyLater()
})
