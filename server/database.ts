/** The server's one SQLite file, beside the PDFs that it tells of: opened, checked, and written in transactions. */

import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const FILE = 'server.sqlite'
/** A file of another version is refused. */
const SCHEMA_VERSION = 1
/** How long a lock is waited for: only the command for webhooks, or a backup, holds one. */
const LOCK_MS = 500

/** SQLite's result codes for a file that is damaged, or is no database. */
const DAMAGE = new Set([11, 26])

/**
 * Opens the file in `distDir`, or creates it. One that is damaged is renamed to `.corrupt`, which `onDamage` hears of: what
 * was in it is less than a server that does not start. Throws an Error that names the path when another version has
 * written it: that is a person's mistake.
 */
export function openDatabase(distDir: string, onDamage: () => void = () => undefined): DatabaseSync {
  const path = join(distDir, FILE)
  try {
    return open(path)
  } catch (error) {
    const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
    if (!DAMAGE.has(code)) throw error
    renameSync(path, `${path}.corrupt`)
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
    db.exec('ROLLBACK')
    throw error
  }
}
