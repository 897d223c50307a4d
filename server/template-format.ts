/**
 * A template's preamble as a TeX format of its own: read once, when set up or at the start, and loaded from then on. Most
 * of what a page takes otherwise is LaTeX reading packages that are the same every time.
 *
 * XeTeX can dump no OpenType font. So the preamble is read with LaTeX's old ones as defaults, and the encoding that
 * OpenType fonts have is put back when the format is loaded: what the preamble has declared takes effect there. Nor does
 * TeX dump the page that it has begun, so what the preamble has said to the PDF's maker (`\\special`) is said again.
 */

import { createHash } from 'node:crypto'
import {
  access,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { bareCommand, inputFolder, type Job, outputFolder } from './sandbox.ts'
import { runToEnd } from './tectonic-process.ts'
import type { Toolchain } from './toolchain.ts'

export interface TemplateFormat {
  name: string
  /** What of the template is in it. LaTeX that begins so needs to be read from behind it only. */
  preamble: string
  bundle: string
  /** Tectonic's cache, in which the format lies under the bundle's digest. */
  texCache: string
}

/** A preamble of which no format can be made, or not here. `line` is the template's, where TeX named one. */
export class NoFormat extends Error {
  override name = 'NoFormat'
  readonly reason: 'no_bundle' | 'no_preamble' | 'native_font' | 'latex_error' | 'specimen' | 'system'
  readonly line: number | undefined

  constructor(reason: NoFormat['reason'], { line, cause }: { line?: number | undefined; cause?: unknown } = {}) {
    super(`No format: ${reason}`, { cause })
    this.reason = reason
    this.line = line
  }
}

const NAME = 'passats'
const BUILD_TIMEOUT_MS = 120_000
const UNFINISHED = '.making-'

/** Everything up to this line goes into the format (the name is mylatexformat's); LaTeX itself reads it as nothing. */
const END_OF_DUMP = /^\\csname endofdump\\endcsname[^\n]*\n/m

const BEFORE_PREAMBLE = String.raw`\let\passatsdump\dump \let\dump\relax
\input xelatex.ini
\let\dump\passatsdump
\let\passatsrm\rmdefault \let\passatssf\sfdefault \let\passatstt\ttdefault \let\passatsencoding\encodingdefault
\def\passatsoldrm{cmr}\def\passatsoldsf{cmss}\def\passatsoldtt{cmtt}
\let\rmdefault\passatsoldrm \let\sfdefault\passatsoldsf \let\ttdefault\passatsoldtt
\def\encodingdefault{OT1}\fontencoding{OT1}\fontfamily{cmr}\selectfont
\let\passatsspecial\special \def\passatsspecials{}
\protected\long\def\special#1{\passatsspecial{#1}\ifvmode\ifinner\else
  \xdef\passatsspecials{\unexpanded\expandafter{\passatsspecials}\noexpand\passatsspecial{#1}}\fi\fi}
`
const AFTER_PREAMBLE = String.raw`\ifx\rmdefault\passatsoldrm \let\rmdefault\passatsrm \fi
\ifx\sfdefault\passatsoldsf \let\sfdefault\passatssf \fi
\ifx\ttdefault\passatsoldtt \let\ttdefault\passatstt \fi
\let\encodingdefault\passatsencoding
\let\special\passatsspecial
\everyjob\expandafter{\the\everyjob \passatsspecials \fontencoding{\encodingdefault}\fontfamily{\rmdefault}\selectfont}
\dump
`
/** Change whenever the code below would make another format of the same preamble. */
const RECIPE = { version: 1, before: BEFORE_PREAMBLE, after: AFTER_PREAMBLE }

/**
 * The part of a template that can be dumped: up to the line `\csname endofdump\endcsname`, or if there is none up to the
 * first placeholder's line or to `\begin{document}`. Undefined when that is nothing.
 */
export function preambleOf(template: string): string | undefined {
  const marked = END_OF_DUMP.exec(template)
  const end = marked ? marked.index + marked[0].length : template.search(/^.*(?:@[A-Z]+@|\\begin\{document\})/m)
  return end > 0 ? template.slice(0, end) : undefined
}

/**
 * The format of a template, from the first of these folders that has it, or made in the last. `specimen` is a document
 * with the template's preamble: it is typeset once, so that what is answered works. With `narrow`, the format gets a
 * bundle of those files alone that the specimen has read. `signal` ends what is under way. Throws NoFormat.
 */
export async function templateFormat(
  toolchain: Toolchain,
  template: { text: string; specimen: string; narrow: boolean },
  folders: readonly string[],
  signal?: AbortSignal,
): Promise<TemplateFormat> {
  const preamble = preambleOf(template.text)
  const { bundle } = toolchain
  if (!preamble) throw new NoFormat('no_preamble')
  if (!bundle) throw new NoFormat('no_bundle')
  try {
    const digest = await digestOf(bundle)
    const { size } = await stat(toolchain.tectonic)
    const recipe = JSON.stringify({ ...RECIPE, ...template, digest, size })
    const name = `${NAME}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`
    for (const folder of folders) {
      const found = formatIn(resolve(folder, name), { preamble, bundle, narrow: template.narrow })
      if (await isThere(found.texCache)) return found
    }
    const folder = resolve(folders.at(-1) ?? '.')
    await mkdir(folder, { recursive: true })
    await clear(folder)
    const work = await mkdtemp(join(folder, UNFINISHED))
    try {
      await make({ ...toolchain, bundle }, { ...template, preamble, digest }, work, signal)
      // Whole or not at all. Who was faster has made the same.
      await rename(join(work, 'made'), join(folder, name)).catch(async (error) => {
        if (!(await isThere(join(folder, name)))) throw error
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
    return formatIn(join(folder, name), { preamble, bundle, narrow: template.narrow })
  } catch (error) {
    throw error instanceof NoFormat ? error : new NoFormat('system', { cause: error })
  }
}

function formatIn(
  folder: string,
  { preamble, bundle, narrow }: { preamble: string; bundle: string; narrow: boolean },
): TemplateFormat {
  return { name: NAME, preamble, bundle: narrow ? join(folder, 'bundle') : bundle, texCache: join(folder, 'cache') }
}

async function make(
  toolchain: Toolchain & { bundle: string },
  { preamble, specimen, narrow, digest }: { preamble: string; specimen: string; narrow: boolean; digest: string },
  work: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Tectonic looks for a format's source in the bundle alone, so this is the bundle with one more file.
  const whole = join(work, 'whole')
  await mkdir(whole)
  for (const name of await readdir(toolchain.bundle)) await symlink(join(toolchain.bundle, name), join(whole, name))
  const source = join(whole, `tectonic-format-${NAME}.tex`)
  await writeFile(source, BEFORE_PREAMBLE + preamble + AFTER_PREAMBLE)
  const made = join(work, 'made')
  const texCache = join(made, 'cache')
  await mkdir(texCache, { recursive: true })

  const job: Job = { folder: work, main: 'specimen.tex' }
  await Promise.all([mkdir(inputFolder(job)), mkdir(outputFolder(job))])
  await writeFile(join(inputFolder(job), job.main), specimen.slice(preamble.length))
  const run = async (bundle: string, ...args: string[]) => {
    const command = bareCommand({ ...toolchain, bundle, texCache }, job, [
      ...['--format', NAME, '--reruns', '0', '--print'],
      ...args,
    ])
    return runToEnd(command, { cwd: work, timeoutMs: BUILD_TIMEOUT_MS, signal })
  }
  const first = await run(whole)
  if (first.code !== 0) throw refusal(first, (await readdir(join(texCache, 'formats')).catch(() => [])).length > 0)
  if (!narrow) return

  // With nothing in the bundle, and its files on the search path, Tectonic lists those that it reads.
  const bundle = join(made, 'bundle')
  await mkdir(bundle)
  await writeFile(join(bundle, 'SHA256SUM'), `${digest}\n`)
  const rules = join(work, 'rules')
  const second = await run(bundle, '-Z', `search-path=${whole}`, '--makefile-rules', rules)
  if (second.code !== 0) throw new NoFormat('specimen')
  for (const name of await filesIn(rules, whole)) await copyFile(join(whole, name), join(bundle, name))
  const third = await run(bundle)
  if (third.code !== 0) throw new NoFormat('specimen')
}

function refusal({ stdout, stderr }: { stdout: string; stderr: string }, dumped: boolean): NoFormat {
  if (dumped) return new NoFormat('specimen')
  if (/Can't \\dump a format with native fonts/.test(stdout + stderr)) return new NoFormat('native_font')
  const line = stderr.match(/^error: tectonic-format-\w+\.tex:(\d+):/m)?.[1]
  const before = BEFORE_PREAMBLE.split('\n').length - 1
  return new NoFormat('latex_error', { line: line === undefined ? undefined : Number(line) - before })
}

async function filesIn(rules: string, folder: string): Promise<string[]> {
  const wanted = new Set((await readFile(rules, 'utf8')).split(/[\s\\]+/).map((path) => basename(path)))
  return (await readdir(folder)).filter((name) => wanted.has(name))
}

async function digestOf(bundle: string): Promise<string> {
  return (await readFile(join(bundle, 'SHA256SUM'), 'utf8')).trim()
}

// A killed process clears up nothing, and of earlier templates nobody asks any more.
async function clear(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(UNFINISHED) || name.startsWith(`${NAME}-`))
  const aged = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0 })),
  )
  const hourAgo = Date.now() - 3_600_000
  const old = aged.filter(({ at }) => at < hourAgo).sort((a, b) => b.at - a.at)
  const unfinished = old.filter(({ name }) => name.startsWith(UNFINISHED))
  const superseded = old.filter(({ name }) => !name.startsWith(UNFINISHED)).slice(MAX_FORMATS)
  for (const { name } of [...unfinished, ...superseded]) await rm(join(folder, name), { recursive: true, force: true })
}

/** Formats of earlier templates that are kept, 32 MB each: another checkout may use them. */
const MAX_FORMATS = 8

/** Whether there is something at a path. */
export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
