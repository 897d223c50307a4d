/** What POST /compile takes: one LaTeX file, or a zip, tar or tar.gz of files; and which of them to start with. */

import { kindOf, ungzip, untar, unzip } from './archive.ts'
import { Failure } from './failure.ts'
import type { Source } from './tectonic.ts'

const DEFAULT_MAIN = 'main.tex'
/** Becomes the name of what TeX writes, so no character that TeX, or the command that starts it, would take amiss. */
const MAIN_NAME = /^(?:.*\/)?[\p{L}\p{N}_][\p{L}\p{N}_.+-]*\.tex$/u
/** Not in a comment. */
const DOCUMENT_CLASS = /^[^%\n]*\\documentclass\b/m

/** `main` is what the caller names, if anything. Throws Failure: request_invalid, request_too_large. */
export async function readCompileSource(bytes: Uint8Array, main: string | undefined): Promise<Source> {
  const kind = kindOf(bytes)
  if (kind === 'zip') return several(await unzip(bytes), main)
  const plain = kind === 'gzip' ? await ungzip(bytes) : bytes
  if (kindOf(plain) === 'tar') return several(await untar(plain), main)
  if (!isMain(plain)) {
    throw invalid('The body must be one LaTeX file with a \\documentclass, or a zip, tar or tar.gz of files.')
  }
  return { files: new Map([[DEFAULT_MAIN, plain]]), main: DEFAULT_MAIN }
}

function several(files: ReadonlyMap<string, Uint8Array>, asked: string | undefined): Source {
  if (asked !== undefined && !files.has(asked)) throw invalid('There is no file of the name that ?main= asks for.')
  const main = asked ?? (files.has(DEFAULT_MAIN) ? DEFAULT_MAIN : onlyMain(files))
  if (!MAIN_NAME.test(main)) {
    throw invalid('The main file must be called something.tex, of letters, digits and any of _ . + -')
  }
  return { files, main }
}

function onlyMain(files: ReadonlyMap<string, Uint8Array>): string {
  const found = [...files].filter(([path, content]) => path.endsWith('.tex') && isMain(content)).map(([path]) => path)
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  throw invalid(
    only === undefined
      ? 'No file is main.tex, and none has a \\documentclass.'
      : 'Several files have a \\documentclass, and none is main.tex. Name one with ?main=path.',
  )
}

const isMain = (content: Uint8Array) => DOCUMENT_CLASS.test(Buffer.from(content).toString('utf8'))
const invalid = (detail: string) => new Failure('request_invalid', { detail })
