/** What is due, in order, across the hours: for the forwarder and for those who copy what is kept. */

import type { HourName } from './hour-files.ts'
import type { Entry, HourReader, RequestPlace } from './hour-reader.ts'
import type { Cursor } from './kept.ts'

/** Requests of one trace that are looked back for, when it becomes due late: as many as a look-up reads. */
const MAX_EARLIER = 1_000

type Hours = readonly { name: HourName; read: HourReader }[]

/** At most `limit` rows after a cursor, all of one file. Empty when there is nothing more. */
export function entriesAfter(hours: Hours, { file, seq }: Cursor, limit: number): Entry[] {
  for (const { name, read } of hours) {
    if (name.file < file) continue
    const entries = read.outbox(name.file === file ? seq : 0, limit)
    if (entries.length > 0) return entries
  }
  return []
}

/** How many rows there are after a cursor, those for nobody but the keeper included. */
export function entriesBeyond(hours: Hours, { file, seq }: Cursor): number {
  const beyond = hours.filter(({ name }) => name.file >= file)
  return beyond.reduce((sum, { name, read }) => sum + read.lastEntry() - (name.file === file ? seq : 0), 0)
}

/** The requests that an entry is about, oldest first. They may be gone when they are read. */
export function placesOf(hours: Hours, { file, request, traceId, earlier }: Entry): RequestPlace[] {
  if (!earlier) return [{ file, request }]
  const places: RequestPlace[] = []
  for (const { name, read } of hours) {
    if (name.file > file) break
    const upTo = name.file === file ? request : Number.MAX_SAFE_INTEGER
    const ids = read.requestIdsOf(traceId, upTo, MAX_EARLIER - places.length)
    places.push(...ids.map((id) => ({ file: name.file, request: id })))
    if (places.length === MAX_EARLIER) break
  }
  return places
}
