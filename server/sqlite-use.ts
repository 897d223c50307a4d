/** What the model has cost today, in the server's file. */

import type { DatabaseSync } from 'node:sqlite'
import { inTransaction } from './database.ts'
import type { Exhausted, Holder, Use, UseStore } from './quota.ts'

export class SqliteUse implements UseStore {
  readonly #db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  // Nothing waits within: what is asked for and what is taken is one turn of the loop.
  async take(day: number, who: readonly Holder[], tokens: number): Promise<Exhausted | undefined> {
    const full = who.find(({ name, most }) => this.#used(day, name).tokens + tokens > most)
    if (full) return full.level
    this.#add(day, who, tokens, 0)
    return undefined
  }

  async correct(day: number, who: readonly Holder[], tokens: number, resumes: number): Promise<void> {
    this.#add(day, who, tokens, resumes)
  }

  async used(day: number, who: string): Promise<Use> {
    return this.#used(day, who)
  }

  #used(day: number, who: string): Use {
    const row = this.#db.prepare('SELECT tokens, resumes FROM model_use WHERE day = ? AND install = ?').get(day, who)
    return { tokens: Number(row?.tokens ?? 0), resumes: Number(row?.resumes ?? 0) }
  }

  #add(day: number, who: readonly Holder[], tokens: number, resumes: number): void {
    const add = this.#db.prepare(`
      INSERT INTO model_use (day, install, tokens, resumes) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET tokens = max(0, tokens + excluded.tokens), resumes = resumes + excluded.resumes`)
    inTransaction(this.#db, () => {
      for (const { name } of who) add.run(day, name, tokens, resumes)
      // Yesterday is nobody's business any more. What is corrected late would bring it back.
      const [{ today } = { today: day }] = this.#db.prepare('SELECT max(day) AS today FROM model_use').all()
      this.#db.prepare('DELETE FROM model_use WHERE day < ?').run(Number(today))
    })
  }
}
