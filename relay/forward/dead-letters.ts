/** What backends have refused for good, for the person who puts it right: also beside a relay that runs. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { decode, type Encoding, type TracesData } from '../otlp.ts'
import { openDatabase } from '../store/database.ts'
import type { Letter } from '../store/kept.ts'
import type { Outcome, Send } from './destination.ts'

/** A letter without its body. Times in milliseconds since 1970. */
export type LetterHead = Omit<Letter, 'body'> & { id: number; bytes: number }

/** Opens the dead letters of the store in `folder`. Throws an Error that names the folder when there is no store. */
export function openDeadLetters(folder: string) {
  const path = join(folder, 'kept.sqlite')
  if (!existsSync(path)) throw new Error(`There is no store in ${folder}. Is RELAY_STORE set as it is for the relay?`)
  const db = openDatabase(path, 'kept.sql', 'lazy')
  const heads = db.prepare(
    `SELECT id, destination, refused_at, status, reason, encoding, spans, length(body) AS bytes
     FROM dead_letter ORDER BY id`,
  )
  const bodyOf = db.prepare('SELECT encoding, body FROM dead_letter WHERE id = ?')
  const remove = db.prepare('DELETE FROM dead_letter WHERE id = ?')

  function body(id: number): { encoding: Encoding; bytes: Uint8Array } | undefined {
    const row = bodyOf.get(id)
    return row && { encoding: row.encoding as Encoding, bytes: gunzipSync(row.body as Uint8Array) }
  }

  return {
    list: (): LetterHead[] =>
      heads.all().map((row) => ({
        id: Number(row.id),
        destination: String(row.destination),
        refusedAt: Number(row.refused_at),
        status: Number(row.status),
        reason: String(row.reason),
        encoding: row.encoding as Encoding,
        spans: Number(row.spans),
        bytes: Number(row.bytes),
      })),

    /** What was refused, decoded; undefined when there is no such letter. */
    show(id: number): TracesData | undefined {
      const letter = body(id)
      return letter && decode(letter.bytes, letter.encoding)
    },

    /** Sends it once more, and lets it go when it is taken. Undefined when there is no such letter. */
    async replay(id: number, send: Send): Promise<Outcome | undefined> {
      const letter = body(id)
      if (!letter) return undefined
      const outcome = await send(letter.bytes, letter.encoding)
      if (outcome.kind === 'taken') remove.run(id)
      return outcome
    },

    /** Lets it go; tells whether it was there. */
    drop: (id: number): boolean => remove.run(id).changes > 0,

    close: (): void => db.close(),
  }
}
