/** Which runs there have been, whose they are and how they ended: what a server that starts anew must know of them. */

import type { DatabaseSync } from 'node:sqlite'
import type { RunEvent } from './contract.ts'
import { inTransaction } from './database.ts'

/** Runs remembered at most: at 50 KB a PDF, 250 MB. The oldest ended one goes first. */
const MAX_RUNS = 5_000

export interface StoredRun {
  id: string
  owner: string
  /** How often it has been begun, from 1. */
  attempt: number
  /** Of its first event. */
  firstId: number
  /** Epoch milliseconds. */
  startedAt: number
  /** Undefined while it is under way. */
  events: RunEvent[] | undefined
}

export class RunStore {
  readonly #db: DatabaseSync
  readonly #maxRuns: number
  #runs: number

  constructor(db: DatabaseSync, maxRuns = MAX_RUNS) {
    this.#db = db
    this.#maxRuns = maxRuns
    this.#runs = Number(db.prepare('SELECT count(*) AS runs FROM run').get()?.runs)
  }

  /** Writes that the run is under way. Returns the IDs of those that had to make room. */
  begin({ id, owner, attempt, firstId, startedAt }: StoredRun): string[] {
    return inTransaction(this.#db, () => {
      const { changes } = this.#db.prepare('DELETE FROM run WHERE id = ?').run(id)
      this.#db
        .prepare('INSERT INTO run (id, owner, attempt, first_id, started_at) VALUES (?, ?, ?, ?, ?)')
        .run(id, owner, attempt, firstId, startedAt)
      this.#runs += 1 - Number(changes)
      const excess = this.#runs - this.#maxRuns
      return excess > 0 ? this.#remove('ended IS NOT NULL ORDER BY started_at LIMIT ?', excess) : []
    })
  }

  /** Writes how it ended, and `alongside` in the same transaction. */
  end(
    { id, firstId }: Pick<StoredRun, 'id' | 'firstId'>,
    events: readonly RunEvent[],
    endedAt: number,
    alongside: () => void,
  ): void {
    inTransaction(this.#db, () => {
      const statement = this.#db.prepare('UPDATE run SET ended = ?, ended_at = ?, first_id = ? WHERE id = ?')
      statement.run(JSON.stringify(events.map(withoutDetail)), endedAt, firstId, id)
      alongside()
    })
  }

  find(id: string): StoredRun | undefined {
    const row = this.#db.prepare('SELECT id, owner, attempt, first_id, started_at, ended FROM run WHERE id = ?').get(id)
    return row && toRun(row)
  }

  /** Those that their process left in the middle. */
  open(): StoredRun[] {
    return this.#db
      .prepare('SELECT id, owner, attempt, first_id, started_at, ended FROM run WHERE ended IS NULL')
      .all()
      .map(toRun)
  }

  /** Forgets what ended before, and gives the room back. Returns the IDs. */
  forgetBefore(time: number): string[] {
    const gone = inTransaction(this.#db, () => this.#remove('ended_at < ?', time))
    // The log has what was deleted until it is written over.
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return gone
  }

  #remove(where: string, value: number): string[] {
    const ids = this.#db.prepare(`DELETE FROM run WHERE id IN (SELECT id FROM run WHERE ${where}) RETURNING id`)
    const gone = ids.all(value).map(({ id }) => String(id))
    this.#runs -= gone.length
    return gone
  }
}

/** A detail may quote the profile: it is for who follows the run now, not for a file. */
function withoutDetail(event: RunEvent): RunEvent {
  if (event.type !== 'failed') return event
  const { detail: _, ...failure } = event.failure
  return { ...event, failure }
}

function toRun({ id, owner, attempt, first_id, started_at, ended }: Record<string, unknown>): StoredRun {
  return {
    id: String(id),
    owner: String(owner),
    attempt: Number(attempt),
    firstId: Number(first_id),
    startedAt: Number(started_at),
    events: typeof ended === 'string' ? (JSON.parse(ended) as RunEvent[]) : undefined,
  }
}
