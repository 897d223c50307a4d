/** The server's one SQLite file, beside the PDFs that it tells of: opened, checked, and written in transactions. */

import { existsSync, readFileSync, renameSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const FILE = 'server.sqlite'
/** A file of another version is refused. */
const SCHEMA_VERSION = 2
/** How long a lock is waited for: only the command for webhooks, or a backup, holds one. */
const LOCK_MS = 500

/** SQLite's result codes for a file that is damaged, or is no database. */
const DAMAGE = new Set([11, 26])

class Damaged extends Error {
  override name = 'Damaged'
}

/**
 * Opens the file in `distDir`, or creates it. For the server, which gives `onDamage`, one that is damaged is renamed to
 * `.corrupt`: what was in it is less than a server that does not start. Throws an Error that names the path when another
 * version has written it, which is a person's mistake, or when it is damaged and may be in use.
 */
export function openDatabase(distDir: string, onDamage?: () => void): DatabaseSync {
  const path = join(distDir, FILE)
  try {
    return open(path)
  } catch (error) {
    const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
    if (!DAMAGE.has(code) && !(error instanceof Damaged)) throw error
    if (!onDamage) throw new Error(`${path} is damaged. A server that starts sets it aside.`, { cause: error })
    renameSync(path, `${path}.corrupt`)
    // From now on it has its day before it is cleared away, however long ago it was written.
    utimesSync(`${path}.corrupt`, new Date(), new Date())
    // A log without its file would be taken for the new one's.
    for (const log of ['-wal', '-shm']) if (existsSync(path + log)) rmSync(path + log)
    onDamage()
    return open(path)
  }
}

/**
 * With synchronous=NORMAL a commit survives the death of the process, and not always that of the machine: that would take a
 * wait for the disk in the thread that everybody's streams are in, and what it saved is posted again by its browser anyway.
 */
function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: LOCK_MS })
  try {
    // secure_delete: names of files must not stay behind in what looks like free space.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;
      PRAGMA journal_size_limit = 0`)
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
    const isNew = version === 0 && db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
    if (isNew) {
      const tables = readFileSync(new URL('database.sql', import.meta.url), 'utf8')
      db.exec(`BEGIN IMMEDIATE; ${tables} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
    } else if (version !== SCHEMA_VERSION) {
      throw new Error(
        `${path} has schema version ${version}, and this server needs ${SCHEMA_VERSION}. ` +
          'Move it away, or set DIST_DIR to another folder.',
      )
    }
    // Damage far behind the first page would be met by the first run, or by every start.
    const [{ quick_check: found } = {}] = db.prepare('PRAGMA quick_check(1)').all()
    if (found !== 'ok') throw new Damaged(`${path} is damaged.`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** All of `work`, or nothing of it. Throws what it throws. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // Where the disk is full, SQLite has done so itself.
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
