/** The server's one SQLite file, beside the PDFs that it tells of: opened, checked, and written in transactions. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const FILE = 'server.sqlite'
/** A file of another version is refused. */
const SCHEMA_VERSION = 1
/** How long a lock is waited for: only the command for webhooks, or a backup, holds one. */
const LOCK_MS = 500

/**
 * Opens the file in `distDir`, or creates it. Throws an Error that names the path when another version has written it.
 *
 * With synchronous=NORMAL a commit survives the death of the process, and not always that of the machine: that would take a
 * wait for the disk in the thread that everybody's streams are in, and what it saved is posted again by its browser anyway.
 */
export function openDatabase(distDir: string): DatabaseSync {
  const path = join(distDir, FILE)
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
