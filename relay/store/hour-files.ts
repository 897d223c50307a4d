/** The files of the hours: their names, their order, their sizes. */
import { readdirSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

const HOUR_MS = 3_600_000

/**
 * An hour's file. Files are in order by number, not by hour: a clock that was set back must not put what is new before
 * what is old.
 */
export interface HourName {
  /** Counted up from 1; never used again. */
  file: number
  /** Its beginning, milliseconds since 1970. */
  hour: number
}

/** The beginning of the hour that `at` is in. */
export function hourOf(at: number): number {
  return Math.floor(at / HOUR_MS) * HOUR_MS
}

/** `00000042-2026-01-01T05.sqlite`. */
export function pathOf(folder: string, { file, hour }: HourName): string {
  return join(folder, `${String(file).padStart(8, '0')}-${new Date(hour).toISOString().slice(0, 13)}.sqlite`)
}

/** What is in a folder, oldest first. */
export function listHours(folder: string): HourName[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const [, file, hour] = /^(\d{8,})-(\d{4}-\d\d-\d\dT\d\d)\.sqlite$/.exec(name) ?? []
      return file && hour ? [{ file: Number(file), hour: Date.parse(`${hour}:00:00Z`) }] : []
    })
    .sort((a, b) => a.file - b.file)
}

/** The highest number in a folder, of damaged files too; 0 when there is none. */
export function lastFileIn(folder: string): number {
  return Math.max(0, ...readdirSync(folder).map((name) => Number(/^(\d{8,})-/.exec(name)?.[1] ?? 0)))
}

/**
 * When the youngest of a file's requests is past the window. No file is younger than the one after it: that is how one
 * from an hour that has not come yet, by a clock that was wrong, goes all the same.
 */
export function endOf(names: readonly HourName[], file: number, windowMs: number): number {
  const from = names.filter((name) => name.file >= file).map(({ hour }) => hour)
  return Math.min(...from) + HOUR_MS + windowMs
}

/** Bytes of a database with its log; 0 when it is not there. */
export function sizeOf(path: string): number {
  const size = (suffix: string) => statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0
  return size('') + size('-wal')
}

/** Removes a database with its log. Never throws: what cannot be removed now is found again at the next start. */
export async function unlinkDatabase(path: string): Promise<void> {
  await Promise.all(['', '-wal', '-shm'].map((suffix) => rm(path + suffix, { force: true }).catch(() => {})))
}
