/** What an ended Tectonic process means to a person: nothing wrong, or one of the failures of the closed list. */

import { constants } from 'node:os'
import { Failure } from './failure.ts'
import { CPU_SECONDS } from './sandbox.ts'
import type { Ended } from './tectonic-process.ts'

const { SIGKILL, SIGXCPU } = constants.signals
const OUT_OF_MEMORY =
  /memory allocation of \d+ bytes failed|x(?:m|c|re)alloc request for \d+ bytes failed|cannot allocate memory/i
/** A glyph that no font has does not fail a compile: Tectonic warns, leaves a hole in the resume, and exits with 0. */
const NO_GLYPH = /could not represent character "(.+?)" \(0x([0-9a-f]+)\)/s

/** The failure that this end amounts to, or undefined when there is a PDF to read. */
export function verdict(
  ended: Ended,
  { jobFile, trust }: { jobFile: string; trust: 'own' | 'foreign' },
): Failure | undefined {
  const { code, signal, stdout, stderr } = ended
  if (ended.aborted) return new Failure('interrupted')
  if (ended.timedOut) return new Failure('compile_timeout')
  if (!ended.started) return new Failure(trust === 'foreign' ? 'sandbox_unavailable' : 'tectonic_unavailable')
  if (code === 0) return unsupportedCharacter(stderr) ?? unsupportedCharacter(stdout)
  if (OUT_OF_MEMORY.test(stderr)) return new Failure('out_of_memory')
  if (signal === SIGXCPU || (signal === SIGKILL && (ended.cpuSeconds ?? 0) >= CPU_SECONDS - 0.5)) {
    return new Failure('compile_timeout')
  }
  if (signal === SIGKILL) return new Failure('out_of_memory') // not ours, so the kernel's
  return code === 1 ? (latexError(stdout, stderr, jobFile) ?? withoutLine(trust)) : new Failure('tectonic_crash')
}

function unsupportedCharacter(text: string): Failure | undefined {
  const [found, character = '', code = ''] = text.match(NO_GLYPH) ?? []
  if (!found) return undefined
  return new Failure('unsupported_character', { detail: `“${character}” (U+${code.toUpperCase().padStart(4, '0')})` })
}

// Standard error names the file and line; when TeX stopped to ask a question (a missing package), only its log does.
function latexError(stdout: string, stderr: string, jobFile: string): Failure | undefined {
  const [, file, line, told] = stderr.match(/^error: (.+?):(\d+): (.+)$/m) ?? []
  const [, logged] = stdout.match(/^! (.+)$/m) ?? []
  const message = told ?? logged
  if (!message) return undefined
  const loggedLine = stdout.match(/^l\.(\d+) /m)?.[1]
  // A line of a package would send the reader to the wrong file.
  const number = told === undefined ? loggedLine : file === jobFile ? line : undefined
  const latexErrorLine = number === undefined ? undefined : Number(number)
  const detail = latexErrorLine === undefined ? message : `line ${latexErrorLine}: ${message}`
  return new Failure('latex_invalid', { detail, latexErrorLine })
}

// An error without a TeX message comes from making the PDF (a broken image, say). Our own template asks for none of
// that, so there it is Tectonic that broke.
function withoutLine(trust: 'own' | 'foreign'): Failure {
  return new Failure(trust === 'foreign' ? 'latex_invalid' : 'tectonic_crash')
}
