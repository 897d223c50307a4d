/** Everything the server needs to typeset, made once and kept in the cache; and the file that tells the server where. */

import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { templateToPrepare } from '../../server/formats.ts'
import { TEMPLATE } from '../../server/latex.ts'
import { inputFolder, outputFolder, pdfName, sandboxProbe } from '../../server/sandbox.ts'
import { runToEnd } from '../../server/tectonic-process.ts'
import { templateFormat } from '../../server/template-format.ts'
import type { Toolchain } from '../../server/toolchain.ts'
import { cacheRoot, inWorkFolder, made } from './cache.ts'
import { aptInstall, type Debian, debian } from './debian.ts'
import { onPath, output } from './program.ts'
import { type Progress, SetupError } from './progress.ts'
import { type Runtime, tectonicRuntime } from './tectonic.ts'
import { texBundle } from './tex-bundle.ts'

/** Uses every package the resume template does, so that it also proves that they are all found without a network. */
const WARM_UP = String.raw`\documentclass{article}
\usepackage[margin=2cm]{geometry}
\usepackage{hyperref}
\font\upright="[lmroman10-regular]:-liga;-kern;" at 10pt
\font\heavy="[lmroman10-bold]:-liga;-kern;" at 10pt
\begin{document}\upright Ready \heavy to \href{https://example.com}{typeset}.\end{document}
`

/** The file whose path the server gets in TOOLCHAIN. */
export function toolchainPath(): string {
  return join(cacheRoot(), 'toolchain.json')
}

/** Finds or makes the toolchain and writes {@link toolchainPath}. Throws SetupError when PDFs cannot be made here. */
export async function setUpToolchain(progress: Progress): Promise<Toolchain> {
  const system = await debian()
  const runtime = await progress.step('Tectonic', async (now) => {
    const value = await tectonicRuntime(system, now)
    return { value, shown: value.version }
  })
  const bundle = system && (await progress.step('TeX bundle', async (now) => shown(await texBundle(system, now))))
  const texCache = await progress.step('LaTeX format', async (now) => shown(await latexFormat(runtime, bundle, now)))
  const { tectonic, loader } = runtime
  const formats = join(cacheRoot(), 'formats')
  const bare: Toolchain = { tectonic, loader, bundle, texCache, formats, prlimit: await onPath('prlimit') }
  if (bundle) await progress.step('Template format', async () => shown((await ownFormat(bare, formats)).texCache))
  const toolchain = { ...bare, bwrap: await findSandbox(bare, system, progress) }

  // Renamed into place: a server that starts meanwhile reads the old file or the new one, never half of one.
  const written = `${toolchainPath()}.${process.pid}`
  await writeFile(written, `${JSON.stringify(toolchain, null, 2)}\n`)
  await rename(written, toolchainPath())
  return toolchain
}

/** The toolchain an earlier set-up made, for tests. Throws SetupError when there was none. */
export async function readToolchain(): Promise<Toolchain> {
  const text = await readFile(toolchainPath(), 'utf8').catch((cause) => {
    throw new SetupError('The toolchain is not set up.', { why: 'compiling LaTeX', fix: 'npm test', cause })
  })
  return JSON.parse(text)
}

/** `pdftotext`, which only tests use. Throws SetupError when it is missing and cannot be installed. */
export async function findPdftotext(progress: Progress): Promise<string> {
  return progress.step('pdftotext', async (now) => {
    const path = (await onPath('pdftotext')) ?? (await installed('poppler-utils', 'pdftotext', await debian(), now))
    if (path) return shown(path)
    const why = 'reading back the text of a PDF in tests'
    throw new SetupError('pdftotext was not found.', { why, fix: 'sudo apt-get install poppler-utils' })
  })
}

// Loading LaTeX itself takes seconds: paid here once, so that no request ever does.
async function latexFormat(
  { tectonic, loader, version }: Runtime,
  bundle: string | undefined,
  now: (busy: string) => void,
): Promise<string> {
  return made('latex-format', { version, bundle, document: WARM_UP }, (texCache) =>
    inWorkFolder(async (work) => {
      now(bundle ? 'building the LaTeX format' : 'fetching TeX files and building the LaTeX format')
      await writeFile(join(work, 'ready.tex'), WARM_UP)
      const [program = '', ...args] = loader
        ? [loader.ldso, '--library-path', loader.libraryPath, tectonic]
        : [tectonic]
      const env = { HOME: work, TMPDIR: tmpdir(), TECTONIC_CACHE_DIR: texCache }
      const from = bundle ? ['--bundle', bundle] : []
      await output(program, [...args, ...from, 'ready.tex'], { cwd: work, env }).catch((cause) => {
        const fix = bundle ? `rm -r ${cacheRoot()} && npm start` : 'connect to a network once, then: npm start'
        throw new SetupError('Tectonic could not typeset a first page.', { why: 'making the PDF', fix, cause })
      })
    }),
  )
}

// What the server would otherwise make when it starts.
async function ownFormat(toolchain: Toolchain, formats: string) {
  try {
    return await templateFormat(toolchain, await templateToPrepare(toolchain, TEMPLATE), [formats])
  } catch (cause) {
    throw new SetupError('The template could not be made into a format.', {
      why: 'making the PDF quickly',
      fix: `rm -r ${cacheRoot()} && npm start`,
      cause,
    })
  }
}

/**
 * Path of a bubblewrap that works where this runs now, for a toolchain with all the rest; undefined, and said, where there
 * is none. Installed where `system` is one that can be installed on.
 */
export async function findSandbox(
  toolchain: Toolchain,
  system: Debian | undefined,
  progress: Progress,
): Promise<string | undefined> {
  const without = 'LaTeX from outside (POST /compile) will be refused'
  if (!toolchain.bundle || !toolchain.prlimit) {
    progress.warn('Sandbox', `not on this system: ${without}`)
    return undefined
  }
  return progress.step('Sandbox', async (now) => {
    const bwrap =
      (await onPath('bwrap')) ?? (await installed('bubblewrap', 'bwrap', system, now).catch(() => undefined))
    if (!bwrap) return { value: undefined, shown: `no bubblewrap: ${without}` }
    // Asked each time and not remembered: whether namespaces may be made depends on where this runs today.
    return probe({ ...toolchain, bwrap }).then(
      () => shown(bwrap),
      () => ({ value: undefined, shown: `bubblewrap cannot run here: ${without}` }),
    )
  })
}

async function probe(toolchain: Toolchain): Promise<void> {
  // Where compilations are, not in the cache: in a container that is read-only.
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-sandbox-'))
  try {
    const job = { folder, main: 'probe.tex' }
    await Promise.all([mkdir(inputFolder(job)), mkdir(outputFolder(job))])
    await writeFile(join(outputFolder(job), pdfName(job)), '')
    const ended = await runToEnd(sandboxProbe(toolchain, job), { cwd: folder, timeoutMs: 10_000 })
    if (ended.code !== 0) throw new Error(ended.stderr)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function installed(
  name: string,
  program: string,
  system: Debian | undefined,
  now: (busy: string) => void,
): Promise<string | undefined> {
  if (!system?.root) return undefined
  now('installing with apt-get')
  await aptInstall(name)
  return onPath(program)
}

function shown(path: string): { value: string; shown: string } {
  return { value: path, shown: path }
}
