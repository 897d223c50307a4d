/**
 * Who of the staff looked at what, and when: JSON lines in a file beside the store. Nothing is shown whose line could not
 * be written.
 *
 * A file, not a table: it is read with the tools that logs are read with, and outlives the store's own rules. Those who
 * are turned away stand in the relay's log; here, they could push out what staff did.
 */
import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'

export interface AuditLine {
  /** ISO 8601. */
  at: string
  /** The name that belongs to the token, or `oidc:` and the subject: it stays the same, and says nobody's name. */
  who: string
  what: 'sign-in' | 'sign-out' | 'list' | 'look-up' | 'watch' | 'download' | 'keep' | 'audit'
  /** The trace that was found. What was typed is not here: people paste whatever they have. */
  trace?: string
}

/** Of a file; with the one before it there are at most two. Some 80,000 lines each. */
const MAX_BYTES = 8 * 1024 * 1024
const NEWEST_BYTES = 64 * 1024

export function openAudit(path: string, now: () => number, maxBytes = MAX_BYTES) {
  let fd = openSync(path, 'a', 0o600)

  return {
    /** Writes a line. Throws what the file system throws. */
    write(who: string, what: AuditLine['what'], trace?: string): void {
      if (fstatSync(fd).size > maxBytes) {
        closeSync(fd)
        renameSync(path, `${path}.1`)
        fd = openSync(path, 'a', 0o600)
      }
      const line: AuditLine = { at: new Date(now()).toISOString(), who, what, ...(trace ? { trace } : {}) }
      writeSync(fd, `${JSON.stringify(line)}\n`)
    },

    /** The newest lines, newest first. */
    newest(limit: number): AuditLine[] {
      const text = readFileSync(path, 'utf8').slice(-NEWEST_BYTES)
      const lines = text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
      return lines
        .slice(-limit)
        .reverse()
        .map((line) => JSON.parse(line) as AuditLine)
    },

    close(): void {
      closeSync(fd)
    },
  }
}

export type Audit = ReturnType<typeof openAudit>
