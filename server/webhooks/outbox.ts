/** What has still to be sent, and what could not be: in the server's file, so that it outlives the server. */

import type { DatabaseSync } from 'node:sqlite'
import { inTransaction } from '../database.ts'

/** Messages that wait at most; the oldest becomes a dead letter for the newest. */
const MAX_WAITING = 10_000
/** Dead letters at most; the oldest goes. */
const MAX_DEAD = 1_000

export interface Delivery {
  /** The same at every attempt and for every endpoint. */
  id: string
  endpoint: string
  body: string
  /** The run that it tells of, and the span that waited for it, '' where it is not known. */
  run: string
  span: string
  createdAt: number
  attempts: number
  /** Of the last failed attempt, a code. */
  reason: string
}
export type Message = Pick<Delivery, 'id' | 'body' | 'run' | 'span'>

export class Outbox {
  readonly #db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** Puts it in for each endpoint that is not disabled; in the caller's transaction. Returns what was lost for it. */
  add({ id, body, run, span }: Message, endpoints: readonly string[], now: number): number {
    const insert = this.#db.prepare(
      `INSERT OR IGNORE INTO webhook (id, endpoint, body, run, span, created_at, due_at) SELECT ?, ?, ?, ?, ?, ?, ?
       WHERE NOT EXISTS (SELECT 1 FROM webhook_endpoint WHERE url = ? AND disabled_at IS NOT NULL)`,
    )
    for (const endpoint of endpoints) insert.run(id, endpoint, body, run, span, now, now, endpoint)
    const excess = this.#count('due_at IS NOT NULL') - MAX_WAITING
    return excess > 0 ? this.#bury('due_at IS NOT NULL ORDER BY created_at LIMIT ?', excess, 'overflow') : 0
  }

  /** Those whose time has come, oldest first. */
  due(now: number, limit: number): Delivery[] {
    return this.#db
      .prepare(
        `SELECT webhook.* FROM webhook LEFT JOIN webhook_endpoint ON url = endpoint
         WHERE due_at <= ? AND coalesce(not_before, 0) <= ? ORDER BY due_at LIMIT ?`,
      )
      .all(now, now, limit)
      .map(toDelivery)
  }

  /** When the next one is due after this; undefined when nothing is. */
  nextDueAfter(now: number): number | undefined {
    const row = this.#db
      .prepare(
        `SELECT min(max(due_at, coalesce(not_before, 0))) AS at FROM webhook
         LEFT JOIN webhook_endpoint ON url = endpoint WHERE max(due_at, coalesce(not_before, 0)) > ?`,
      )
      .get(now)
    return typeof row?.at === 'number' ? row.at : undefined
  }

  taken({ id, endpoint }: Delivery): void {
    this.#db.prepare('DELETE FROM webhook WHERE id = ? AND endpoint = ?').run(id, endpoint)
  }

  /** Tried again at `dueAt`, unless it is dead meanwhile; with `holdUntil` nothing else goes to the endpoint before. */
  again({ id, endpoint }: Delivery, reason: string, dueAt: number, holdUntil?: number): void {
    inTransaction(this.#db, () => {
      this.#db
        .prepare(
          `UPDATE webhook SET attempts = attempts + 1, reason = ?, due_at = ?
           WHERE id = ? AND endpoint = ? AND due_at IS NOT NULL`,
        )
        .run(reason, dueAt, id, endpoint)
      if (holdUntil === undefined) return
      this.#db
        .prepare(
          `INSERT INTO webhook_endpoint (url, not_before) VALUES (?, ?)
           ON CONFLICT (url) DO UPDATE SET not_before = max(not_before, excluded.not_before)`,
        )
        .run(endpoint, holdUntil)
    })
  }

  /** Returns how many older dead letters are lost for it. */
  dead({ id, endpoint }: Delivery, reason: string): number {
    return inTransaction(this.#db, () => {
      this.#db
        .prepare('UPDATE webhook SET attempts = attempts + 1, reason = ?, due_at = NULL WHERE id = ? AND endpoint = ?')
        .run(reason, id, endpoint)
      return this.#dropOldestDead()
    })
  }

  /** Sends nothing to the endpoint any more: what waits for it is dead. */
  disable(endpoint: string, now: number, reason: string): void {
    inTransaction(this.#db, () => {
      this.#db
        .prepare(
          `INSERT INTO webhook_endpoint (url, disabled_at) VALUES (?, ?)
           ON CONFLICT (url) DO UPDATE SET disabled_at = excluded.disabled_at`,
        )
        .run(endpoint, now)
      this.#bury('due_at IS NOT NULL AND endpoint = ?', endpoint, reason)
    })
  }

  /** What waits for endpoints that are not in the list is dead. */
  keepOnly(endpoints: readonly string[]): void {
    inTransaction(this.#db, () => {
      const others = 'due_at IS NOT NULL AND endpoint NOT IN (SELECT value FROM json_each(?))'
      this.#bury(others, JSON.stringify(endpoints), 'not_configured')
    })
  }

  // What a person does, also beside a running server.

  /** Dead letters, oldest first. */
  deadLetters(): Delivery[] {
    return this.#db.prepare('SELECT * FROM webhook WHERE due_at IS NULL ORDER BY created_at, id').all().map(toDelivery)
  }

  waiting(): number {
    return this.#count('due_at IS NOT NULL')
  }

  disabled(): { url: string; disabledAt: number }[] {
    const rows = this.#db.prepare('SELECT url, disabled_at FROM webhook_endpoint WHERE disabled_at IS NOT NULL').all()
    return rows.map(({ url, disabled_at }) => ({ url: String(url), disabledAt: Number(disabled_at) }))
  }

  /** Begins the schedule anew for dead letters of this ID, or for all. Returns how many. */
  replay(id: string | 'all', now: number): number {
    return this.#eachDead(`UPDATE webhook SET attempts = 0, due_at = ${Math.trunc(now)}`, id)
  }

  drop(id: string | 'all'): number {
    return this.#eachDead('DELETE FROM webhook', id)
  }

  /** Returns whether it was disabled. */
  enable(endpoint: string): boolean {
    return this.#db.prepare('DELETE FROM webhook_endpoint WHERE url = ?').run(endpoint).changes > 0
  }

  #eachDead(what: string, id: string): number {
    return Number(this.#db.prepare(`${what} WHERE due_at IS NULL AND ? IN (id, 'all')`).run(id).changes)
  }

  #count(where: string): number {
    return Number(this.#db.prepare(`SELECT count(*) AS rows FROM webhook WHERE ${where}`).get()?.rows)
  }

  #bury(where: string, value: string | number, reason: string): number {
    const rows = `SELECT rowid FROM webhook WHERE ${where}`
    const update = this.#db.prepare(`UPDATE webhook SET due_at = NULL, reason = ? WHERE rowid IN (${rows})`)
    const buried = Number(update.run(reason, value).changes)
    if (buried > 0) this.#dropOldestDead()
    return buried
  }

  #dropOldestDead(): number {
    const excess = this.#count('due_at IS NULL') - MAX_DEAD
    if (excess <= 0) return 0
    const rows = 'SELECT rowid FROM webhook WHERE due_at IS NULL ORDER BY created_at LIMIT ?'
    return Number(this.#db.prepare(`DELETE FROM webhook WHERE rowid IN (${rows})`).run(excess).changes)
  }
}

function toDelivery(row: Record<string, unknown>): Delivery {
  return {
    id: String(row.id),
    endpoint: String(row.endpoint),
    body: String(row.body),
    run: String(row.run),
    span: String(row.span),
    createdAt: Number(row.created_at),
    attempts: Number(row.attempts),
    reason: String(row.reason),
  }
}
