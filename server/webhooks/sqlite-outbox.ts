/** The outbox in the server's file. */

import type { DatabaseSync } from 'node:sqlite'
import { METRICS } from '../../metric-names.ts'
import { counter } from '../../metrics.ts'
import { inTransaction } from '../database.ts'
import { type Delivery, MAX_DEAD, MAX_WAITING, type Message, type Outbox } from './outbox.ts'

const deadLetters = counter(METRICS.webhookDeadLetters)

export class SqliteOutbox implements Outbox {
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

  due(now: number, room: number, underWay: number): Delivery[] {
    return this.#db
      .prepare(
        `SELECT webhook.* FROM webhook LEFT JOIN webhook_endpoint ON url = endpoint
         WHERE due_at <= ? AND coalesce(not_before, 0) <= ? ORDER BY due_at LIMIT ?`,
      )
      .all(now, now, room + underWay)
      .map(toDelivery)
  }

  nextDueAfter(now: number): number | undefined {
    const row = this.#db
      .prepare(
        `SELECT min(max(due_at, coalesce(not_before, 0))) AS at FROM webhook
         LEFT JOIN webhook_endpoint ON url = endpoint WHERE max(due_at, coalesce(not_before, 0)) > ?`,
      )
      .get(now)
    return typeof row?.at === 'number' ? row.at : undefined
  }

  oldestWaiting(): number | undefined {
    const row = this.#db.prepare('SELECT min(created_at) AS at FROM webhook WHERE due_at IS NOT NULL').get()
    return typeof row?.at === 'number' ? row.at : undefined
  }

  taken({ id, endpoint }: Delivery): void {
    this.#db.prepare('DELETE FROM webhook WHERE id = ? AND endpoint = ?').run(id, endpoint)
  }

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

  dead({ id, endpoint }: Delivery, reason: string): number {
    return inTransaction(this.#db, () => {
      this.#db
        .prepare('UPDATE webhook SET attempts = attempts + 1, reason = ?, due_at = NULL WHERE id = ? AND endpoint = ?')
        .run(reason, id, endpoint)
      deadLetters.add({})
      return this.#dropOldestDead()
    })
  }

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

  keepOnly(endpoints: readonly string[]): void {
    inTransaction(this.#db, () => {
      const others = 'due_at IS NOT NULL AND endpoint NOT IN (SELECT value FROM json_each(?))'
      this.#bury(others, JSON.stringify(endpoints), 'not_configured')
    })
  }

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

  replay(id: string | 'all', now: number): number {
    return this.#eachDead(`UPDATE webhook SET attempts = 0, due_at = ${Math.trunc(now)}`, id)
  }

  drop(id: string | 'all'): number {
    return this.#eachDead('DELETE FROM webhook', id)
  }

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
    deadLetters.add({}, buried)
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
