/**
 * Programs of Debian's packages, unpacked into the cache. Not installed: their packages would start services on this machine
 * that nobody asked for.
 */

import { join } from 'node:path'
import { made } from './cache.ts'
import { debian, unpackPackages } from './debian.ts'
import { isExecutable } from './program.ts'
import { SetupError } from './progress.ts'

export interface Wanted {
  /** As people call it. */
  what: string
  /** Of the folder in the cache. */
  name: string
  packages: string[]
  /** To be changed whenever `finish` would make another folder. */
  version: number
  /** What is downloaded, once. */
  megabytes: number
  /** What must be there and run, as paths from the root. */
  programs: string[]
  /** What it is needed for, and how to have it otherwise. */
  why: string
  fix: string
  /** What is to be done with the folder before it is used. */
  finish?: (folder: string) => Promise<void>
}

/** The folder that has them as a root would. Throws SetupError when they cannot be had here. */
export async function unpackedPrograms(wanted: Wanted, now: (busy: string) => void): Promise<string> {
  const { what, name, packages, version, megabytes, programs, why, fix, finish } = wanted
  const system = await debian()
  if (!system) throw new SetupError(`Not found: ${what}.`, { why, fix })
  const { codename: release } = system
  const folder = await made(name, { version, packages, release, arch: process.arch }, async (into) => {
    now(`unpacking Debian’s packages (${megabytes} MB, once)`)
    await unpackPackages(system, { release, packages, into, work: into })
    await finish?.(into)
  }).catch((cause) => {
    throw new SetupError(`Could not be fetched: ${what}.`, { why, fix, cause })
  })
  for (const program of programs) {
    const path = join(folder, program)
    if (!(await isExecutable(path))) throw new SetupError(`${path} is missing or cannot be run.`, { why, fix })
  }
  return folder
}
