/** A folder as a zip that is the same, byte for byte, wherever and whenever it is made of the same files. */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Zippable, zipSync } from 'fflate'

/** A zip's times are local ones without a zone, from 1980 on. */
const NEVER = new Date(1980, 0, 1)
const UNIX = 3
/** A file that everybody may read. */
const MODE = 0o100644 << 16

/** Files in order of their names, without times, owners and rights. */
export async function zipOf(folder: string): Promise<Uint8Array> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const files: Zippable = {}
  for (const path of paths.sort()) {
    const name = path.slice(join(folder, '/').length).replaceAll('\\', '/')
    files[name] = [await readFile(path), { level: 9, mtime: NEVER, os: UNIX, attrs: MODE }]
  }
  return zipSync(files)
}
