/**
 * What a power cut leaves of a SQLite write-ahead log: everything up to the last commit, which was on the disk when it
 * was answered, and behind it whatever the disk has made of what was not.
 */

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24

export const TEARS = [
  'garbage',
  'zeros',
  'half a frame',
  'a frame of another page',
  'a whole commit, one bit off',
] as const
export type Tear = (typeof TEARS)[number]

/** The logs that a store in this folder was writing to: of its newest hour, and of what it keeps and has sent. */
export function logsBeingWritten(folder: string): string[] {
  const newest = readdirSync(folder)
    .filter((name) => /^\d+-.*\.sqlite$/.test(name))
    .sort()
    .at(-1)
  const databases = newest ? [newest, 'kept.sqlite'] : ['kept.sqlite']
  return databases.map((name) => join(folder, `${name}-wal`)).filter(existsSync)
}

/** Tears what is behind the last commit of a log nobody has open; false when there is no frame in it to go by. */
export function tear(path: string, how: Tear): boolean {
  const log = readFileSync(path)
  const frames = framesOf(log)
  const last = frames.findLastIndex(({ commits }) => commits)
  const frame = frames[last]
  if (!frame) return false
  const end = frame.at + frame.bytes
  writeFileSync(path, Buffer.concat([log.subarray(0, end), tail(how, log, frames.slice(0, last + 1))]))
  return true
}

interface Frame {
  at: number
  bytes: number
  commits: boolean
}

/** The frames since the log was begun anew, which is when its salts change. Checksums are SQLite's own business. */
function framesOf(log: Buffer): Frame[] {
  if (log.length < HEADER_BYTES) return []
  const bytes = FRAME_HEADER_BYTES + log.readUInt32BE(8)
  const salts = log.subarray(16, 24)
  const frames: Frame[] = []
  for (let at = HEADER_BYTES; at + bytes <= log.length; at += bytes) {
    if (!log.subarray(at + 8, at + 16).equals(salts)) break
    frames.push({ at, bytes, commits: log.readUInt32BE(at + 4) !== 0 })
  }
  return frames
}

function tail(how: Tear, log: Buffer, frames: readonly Frame[]): Buffer {
  const some = frames[Math.floor(Math.random() * frames.length)] as Frame
  const last = frames.at(-1) as Frame
  const copy = (from: Frame, to: Frame) => Buffer.from(log.subarray(from.at, to.at + to.bytes))
  switch (how) {
    case 'garbage':
      return randomBytes(1 + Math.floor(Math.random() * 3 * last.bytes))
    case 'zeros':
      return Buffer.alloc(1 + Math.floor(Math.random() * 3 * last.bytes))
    case 'half a frame':
      return copy(last, last).subarray(0, 1 + Math.floor(Math.random() * (last.bytes - 1)))
    case 'a frame of another page':
      // Salts as they should be, and a checksum that goes on from another place.
      return copy(some, some)
    case 'a whole commit, one bit off': {
      const begin = frames.findLastIndex(({ commits }, index) => commits && index < frames.length - 1) + 1
      const commit = copy(frames[begin] as Frame, last)
      const at = FRAME_HEADER_BYTES + Math.floor(Math.random() * (last.bytes - FRAME_HEADER_BYTES))
      commit[at] = (commit[at] ?? 0) ^ 1
      return commit
    }
  }
}
