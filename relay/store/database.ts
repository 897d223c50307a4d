/** The store's SQLite files: how they are opened, and what becomes of one that is damaged. */
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** Of every file; a file of another version is refused. */
const SCHEMA_VERSION = 4
/** How long a lock is waited for. Only a backup, or the command for dead letters, holds one. */
const LOCK_MS = 100
/** Pages in the log before they go into the file: 16 MiB. Measured, four times the default halves what writing costs. */
const CHECKPOINT_PAGES = 4_000
const MAX_IDLE_LOG_BYTES = 64 * 1024 * 1024

/** SQLite's result codes for a file that is no database, is damaged, or is no file at all. */
const DAMAGE = new Set([11, 14, 26])

/** A file that another version has written. Its message names the path. */
export class WrongVersion extends Error {
  override name = 'WrongVersion'
}

/** Who opens: `durable` has a commit on the disk when it returns; `lazy` only after a crash of the process. */
export type Use = 'durable' | 'lazy' | 'read'

/**
 * Opens a file, or creates it with the tables of `schema`, a file beside this one. Throws {@link WrongVersion}, or what
 * SQLite throws.
 */
export function openDatabase(path: string, schema: 'hour.sql' | 'kept.sql', use: Use): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: LOCK_MS })
  try {
    // In WAL mode synchronous=NORMAL answers before the log is on the disk; without a crash of the machine that is enough.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${use === 'durable' ? 'FULL' : 'NORMAL'};
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${MAX_IDLE_LOG_BYTES}`)
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
    const isNew = version === 0 && db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
    if (isNew) {
      const tables = readFileSync(new URL(schema, import.meta.url), 'utf8')
      db.exec(`BEGIN IMMEDIATE; ${tables} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
    } else if (version !== SCHEMA_VERSION) {
      throw new WrongVersion(
        `The store's file ${path} has schema version ${version}, and this relay needs ${SCHEMA_VERSION}. ` +
          'Move it away, or set RELAY_STORE to another folder.',
      )
    }
    if (use === 'read') db.exec('PRAGMA query_only = 1')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Whether SQLite has found a file damaged, so that trying again leads nowhere. */
export function isDamage(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
  // The lower byte is the kind, what is above it the detail.
  return DAMAGE.has(code & 0xff)
}

/** Renames a damaged file to `.corrupt`, its log with it: somebody may want to know. */
export function setAside(path: string): void {
  renameSync(path, `${path}.corrupt`)
  rmSync(`${path}-shm`, { force: true })
  try {
    renameSync(`${path}-wal`, `${path}-wal.corrupt`)
  } catch {
    // It had none.
  }
}
