/** Moves an hour's tail into its index: sorted, so that rows that belong on one page are written together. */
import type { DatabaseSync } from 'node:sqlite'
import type { Tail } from './tail.ts'

/** Rows of one statement: a call for each takes longer than what SQLite does with it. */
const ROWS = 32

/** To be called within a transaction, after which the tail may be cleared. Throws what SQLite throws. */
export function createIndexWriter(db: DatabaseSync) {
  const insert = (rows: number) =>
    db.prepare(
      `INSERT OR IGNORE INTO trace_request (trace_id, request_id, spans)
       VALUES ${Array(rows).fill('(?, ?, ?)').join(', ')}`,
    )
  const many = insert(ROWS)
  const one = insert(1)
  const indexed = db.prepare('UPDATE indexed SET request_id = (SELECT coalesce(max(id), 0) FROM request)')

  return (tail: Tail): void => {
    let values: (Uint8Array | number)[] = []
    for (const { traceId, request, spans } of tail.inOrder()) {
      values.push(traceId, request, spans)
      if (values.length < ROWS * 3) continue
      many.run(...values)
      values = []
    }
    for (let at = 0; at < values.length; at += 3) one.run(...values.slice(at, at + 3))
    indexed.run()
  }
}
