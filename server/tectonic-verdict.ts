/** What an ended Tectonic process means to a person: nothing wrong, or one of the failures of the closed list. */

import { constants } from 'node:os'
import { posix } from 'node:path'
import { Failure, type FailureContext } from './failure.ts'
import { CPU_SECONDS } from './sandbox.ts'
import type { Ended } from './tectonic-process.ts'

const { SIGKILL, SIGXCPU, SIGXFSZ } = constants.signals
const OUT_OF_MEMORY =
  /memory allocation of \d+ bytes failed|x(?:m|c|re)alloc request for \d+ bytes failed|Out of memory - asked for \d+ bytes|cannot allocate memory/i
/** TeX's own tables have a bound, too; "TeX capacity exceeded" names which. */
const NO_ROOM = /No space left on device|File too large/i
/** A glyph that no font has does not fail a compile: Tectonic warns, leaves a hole in the resume, and exits with 0. */
const NO_GLYPH =
  /(?:^warning: ([^\n]+?):(\d+):\s+Missing character: [^\n]*\nwarning: )?could not represent character "(.+?)" \(0x([0-9a-f]+)\)/ms

/** What was compiled: enough to tell whose line a line is. */
export interface Compiling {
  trust: 'own' | 'foreign'
  main: string
  files: ReadonlyMap<string, unknown>
  filled?: { skippedLines: number; fields: readonly (string | undefined)[] } | undefined
}

/** The failure that this end amounts to, or undefined when there is a PDF to read. */
export function verdict(ended: Ended, compiling: Compiling): Failure | undefined {
  const { trust } = compiling
  const { code, signal, stdout, stderr } = ended
  if (ended.aborted) return new Failure('interrupted')
  if (ended.flooded) return new Failure('output_too_large')
  if (ended.timedOut) return new Failure('compile_timeout')
  if (!ended.started) return new Failure(trust === 'foreign' ? 'sandbox_unavailable' : 'tectonic_unavailable')
  if (code === 0) return unsupportedCharacter(stderr, compiling) ?? unsupportedCharacter(stdout, compiling)
  if (OUT_OF_MEMORY.test(stderr)) return new Failure('out_of_memory')
  if (signal === SIGXFSZ || NO_ROOM.test(stderr)) return new Failure('output_too_large')
  if (signal === SIGXCPU || (signal === SIGKILL && (ended.cpuSeconds ?? 0) >= CPU_SECONDS - 0.5)) {
    return new Failure('compile_timeout')
  }
  if (signal === SIGKILL) return new Failure('out_of_memory') // not ours, so the kernel's
  return code === 1 ? (latexError(ended, compiling) ?? withoutLine(stderr, trust)) : new Failure('tectonic_crash')
}

function unsupportedCharacter(text: string, compiling: Compiling): Failure | undefined {
  const [found, file, line, character = '', code = ''] = text.match(NO_GLYPH) ?? []
  if (!found) return undefined
  const { where } = file && line ? place(compiling, file, Number(line)) : {}
  const named = `“${character}” (U+${code.toUpperCase().padStart(4, '0')})`
  return new Failure('unsupported_character', { detail: where ? `${where}: ${named}` : named })
}

// Standard error names the file and line; when TeX stopped to ask a question (a missing package), only its log does.
function latexError({ stdout, stderr }: Ended, compiling: Compiling): Failure | undefined {
  const [, file, line, told] = stderr.match(/^error: (.+?):(\d+): (.+)$/m) ?? []
  const [, logged] = stdout.match(/^! (.+)$/m) ?? []
  const message = told ?? logged
  if (!message) return undefined
  const [at, number] = told === undefined ? [compiling.main, stdout.match(/^l\.(\d+) /m)?.[1]] : [file, line]
  const { where, ...known } = at && number ? place(compiling, at, Number(number)) : {}
  return new Failure('latex_invalid', { detail: where ? `${where}: ${message}` : message, ...known })
}

/** Where the reader has to look: a field of the profile, a line of the template, or of a file that was sent. */
function place(
  { main, files, filled }: Compiling,
  file: string,
  line: number,
): Pick<FailureContext, 'latexErrorLine' | 'latexErrorPart'> & { where?: string } {
  const isMain = file === main || main.endsWith(`/${file}`)
  if (filled && isMain) {
    const latexErrorLine = line + filled.skippedLines
    const field = filled.fields[latexErrorLine]
    return { latexErrorLine, latexErrorPart: field ? 'body' : 'template', where: field ?? `line ${latexErrorLine}` }
  }
  if (isMain) return { latexErrorLine: line, latexErrorPart: 'source', where: `line ${line}` }
  // TeX tells the name as the document has it: from the main file's folder, perhaps without its ending.
  const path = posix.join(posix.dirname(main), file)
  const sent = [path, `${path}.tex`].find((each) => files.has(each))
  // A line of a package would send the reader to the wrong file.
  return sent
    ? { latexErrorLine: line, latexErrorPart: 'source', where: `${sent}, line ${line}` }
    : { latexErrorPart: 'package' }
}

// An error without a TeX message comes from making the PDF (a broken image, say). Our own template asks for none of
// that, so there it is Tectonic that broke.
function withoutLine(stderr: string, trust: 'own' | 'foreign'): Failure {
  if (trust === 'own') return new Failure('tectonic_crash')
  const told = stderr.match(/^error: (.+)$/m)?.[1]
  const empty = /^error: cannot open ".*\.xdv"$/m.test(stderr)
  return new Failure('latex_invalid', { detail: empty ? 'The document has no page.' : told })
}
