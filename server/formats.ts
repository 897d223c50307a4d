/** What has to be there before the first request: LaTeX's own format, and the template's. */

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { Failure } from './failure.ts'
import { renderLatex, TEMPLATE } from './latex.ts'
import { bareCommand, inputFolder, outputFolder } from './sandbox.ts'
import { SPECIMEN } from './specimen.ts'
import { Tectonic } from './tectonic.ts'
import { runToEnd } from './tectonic-process.ts'
import { NoFormat, type TemplateFormat, templateFormat } from './template-format.ts'
import type { Toolchain } from './toolchain.ts'
import { typefaceOf } from './typeface.ts'

const PAGE = '\\documentclass{article}\\begin{document}Ready.\\end{document}\n'
const TIMEOUT_MS = 600_000 // over a network, it is fetched file by file

/** A template, and the page that it is tried with. Only ours is known well enough to do without the other TeX files. */
export async function templateToPrepare(
  toolchain: Toolchain,
  text: string,
): Promise<{ text: string; specimen: string; narrow: boolean }> {
  const plain = new Tectonic({ toolchain, timeoutMs: TIMEOUT_MS, concurrency: 1, queueLimit: 1 })
  const typeface = await typefaceOf(plain, text)
  return { text, specimen: renderLatex(SPECIMEN, { typeface, template: text }).tex, narrow: text === TEMPLATE }
}

/**
 * Makes what set-up has not made, in the folder `own`. Never rejects: without the template's format each page is compiled
 * from scratch, and the log says so. `signal` ends what is under way.
 */
export async function prepareFormats(
  toolchain: Toolchain | undefined,
  template: string,
  own: string,
  log: Logger,
  signal?: AbortSignal,
): Promise<TemplateFormat | undefined> {
  if (!toolchain) return undefined
  try {
    if (!(await hasLatexFormat(toolchain))) await makeLatexFormat(toolchain, signal)
  } catch (error) {
    log.error({ cause: error instanceof Error ? error.name : undefined }, 'no LaTeX format could be made')
    return undefined
  }
  const folders = [...(toolchain.formats ? [toolchain.formats] : []), own]
  try {
    return await templateFormat(toolchain, await templateToPrepare(toolchain, template), folders, signal)
  } catch (error) {
    log.warn(why(error), 'the template has no format of its own: each PDF takes several times as long')
    return undefined
  }
}

/** A class and a line of the template; what TeX said may quote it. */
function why(error: unknown): { reason: string; line: number | undefined } {
  if (error instanceof NoFormat) return { reason: error.reason, line: error.line }
  const { code, latexErrorLine } = Failure.from(error)
  return { reason: code, line: latexErrorLine }
}

async function hasLatexFormat({ texCache }: Toolchain): Promise<boolean> {
  const names = await readdir(join(texCache, 'formats')).catch(() => [])
  return names.some((name) => name.includes('-latex-'))
}

async function makeLatexFormat(toolchain: Toolchain, signal: AbortSignal | undefined): Promise<void> {
  const job = { folder: await mkdtemp(join(tmpdir(), 'pass-ats-compile-')), main: 'ready.tex' }
  try {
    await mkdir(toolchain.texCache, { recursive: true })
    await Promise.all([mkdir(inputFolder(job)), mkdir(outputFolder(job))])
    await writeFile(join(inputFolder(job), job.main), PAGE)
    const ended = await runToEnd(bareCommand(toolchain, job, []), { cwd: job.folder, timeoutMs: TIMEOUT_MS, signal })
    if (ended.code !== 0) throw new Error('Tectonic could not typeset a first page.')
  } finally {
    await rm(job.folder, { recursive: true, force: true })
  }
}
