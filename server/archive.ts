/**
 * Files out of a zip or tar that somebody has sent. Nothing is unpacked before it is known to be small, and nothing is
 * taken that is not a plain file with a plain relative name: a link is where unpacking goes wrong.
 */

import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { type Entry, fromBufferPromise } from 'yauzl'
import { Failure } from './failure.ts'

/** Of one archive. A paper with its figures has a hundred files and a few megabytes. */
export const MAX_FILES = 500
export const MAX_UNPACKED_BYTES = 16 * 1024 * 1024
const MAX_PATH = 200
const MAX_DEPTH = 10
/** Besides its files' content, what a tar of that many files may have: two blocks each for a long name, and padding. */
const MAX_TAR_BYTES = MAX_UNPACKED_BYTES + (MAX_FILES + 1) * 2_560

type Kind = 'zip' | 'gzip' | 'tar' | 'neither'

/** By its first bytes: what a client calls a file is what its system happened to call it. */
export function kindOf(bytes: Uint8Array): Kind {
  const at = (offset: number, text: string) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', offset, offset + text.length) ===
    text
  if (at(0, 'PK\x03\x04') || at(0, 'PK\x05\x06')) return 'zip'
  if (at(0, '\x1f\x8b')) return 'gzip'
  return at(257, 'ustar') ? 'tar' : 'neither'
}

/** What gzip holds. Throws Failure: request_invalid, request_too_large. */
export async function ungzip(bytes: Uint8Array): Promise<Uint8Array> {
  return promisify(gunzip)(bytes, { maxOutputLength: MAX_TAR_BYTES }).catch((cause) => {
    throw cause?.code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge() : broken('gzip', cause)
  })
}

/** The files of a tar. Throws Failure: request_invalid, request_too_large. */
export async function untar(bytes: Uint8Array): Promise<ReadonlyMap<string, Uint8Array>> {
  if (bytes.byteLength > MAX_TAR_BYTES) throw tooLarge()
  const entries = await unpackTar(bytes, { strict: true }).catch((cause) => {
    throw broken('tar', cause)
  })
  const files = new Files()
  for (const { header, data } of entries) {
    if (header.type === 'directory') continue
    if (header.type !== undefined && header.type !== 'file') throw notPlain(header.name, header.type)
    files.add(header.name, data ?? new Uint8Array())
  }
  return files.all()
}

/** The files of a zip. Throws Failure: request_invalid, request_too_large. */
export async function unzip(bytes: Uint8Array): Promise<ReadonlyMap<string, Uint8Array>> {
  try {
    const zip = await fromBufferPromise(Buffer.from(bytes), { strictFileNames: true, lazyEntries: true })
    const files = new Files()
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith('/')) continue
      const kind = unixKind(entry)
      if (kind !== undefined && kind !== 'file') throw notPlain(entry.fileName, kind)
      if (entry.isEncrypted()) throw refused(`${shown(entry.fileName)} is encrypted.`)
      // What it says of its size; when it lies, reading it fails.
      files.announce(entry.fileName, entry.uncompressedSize)
      files.add(entry.fileName, await buffer(await zip.openReadStreamPromise(entry)))
    }
    return files.all()
  } catch (cause) {
    throw cause instanceof Failure ? cause : broken('zip', cause)
  }
}

/** What a zip made on a Unix says of a file; its upper 16 bits are the file's mode. */
function unixKind(entry: Entry): string | undefined {
  if (entry.versionMadeBy >>> 8 !== 3) return undefined
  const mode = (entry.externalFileAttributes >>> 16) & 0o170_000
  if (mode === 0 || mode === 0o100_000) return 'file'
  return mode === 0o120_000 ? 'symlink' : 'special'
}

/** Files by their path, as long as all of them are within the bounds. */
class Files {
  readonly #files = new Map<string, Uint8Array>()
  readonly #folders = new Set<string>()
  #bytes = 0

  /** Throws when a file of so many bytes would be one too many. */
  announce(name: string, bytes: number): void {
    if (this.#files.size >= MAX_FILES) throw refused(`There are more than ${MAX_FILES} files.`, 'request_too_large')
    if (this.#bytes + bytes > MAX_UNPACKED_BYTES) throw tooLarge()
    plainPath(name)
  }

  add(name: string, content: Uint8Array): void {
    this.announce(name, content.byteLength)
    const path = plainPath(name)
    const parts = path.split('/')
    const folders = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'))
    if (this.#files.has(path) || this.#folders.has(path) || folders.some((folder) => this.#files.has(folder))) {
      throw refused(`${shown(name)} is there twice.`)
    }
    for (const folder of folders) this.#folders.add(folder)
    this.#files.set(path, content)
    this.#bytes += content.byteLength
  }

  all(): ReadonlyMap<string, Uint8Array> {
    if (this.#files.size === 0) throw refused('There is no file in it.')
    return this.#files
  }
}

/** The path without a leading `./`. Throws for one that leads, or on some system could lead, out of its folder. */
function plainPath(name: string): string {
  const path = name.replace(/^(?:\.\/)+/, '')
  const parts = path.split('/')
  const plain =
    path !== '' &&
    path.length <= MAX_PATH &&
    parts.length <= MAX_DEPTH &&
    !/[\\\p{Cc}\p{Cs}]|^[A-Za-z]:/u.test(path) &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= MAX_PATH)
  if (!plain) throw refused(`${shown(name)} is no name that a file may have here.`)
  return path
}

const refused = (detail: string, code: 'request_invalid' | 'request_too_large' = 'request_invalid') =>
  new Failure(code, { detail })
const tooLarge = () => refused(`It unpacks to more than ${MAX_UNPACKED_BYTES / 1024 / 1024} MiB.`, 'request_too_large')
const broken = (kind: string, cause: unknown) =>
  new Failure('request_invalid', { detail: `The ${kind} cannot be read to its end.`, cause })
const notPlain = (name: string, kind: string) => refused(`${shown(name)} is no file but a ${kind}. Send files only.`)

/** A name as it can be shown, whatever is in it. */
function shown(name: string): string {
  const printable = name.replace(/[\p{C}]/gu, '\ufffd')
  return `“${printable.length > 80 ? `${printable.slice(0, 79)}…` : printable}”`
}
