/**
 * The command line that starts Tectonic: limited by prlimit and, where bubblewrap works, in a sandbox.
 *
 * Tectonic's own `--untrusted` is given too but is no sandbox: it stops shell escapes, while `\input{/etc/passwd}`,
 * `\openout` to any path and endless loops all still work under it. Every part below is ours; nothing is taken from
 * input, and there is no shell in between.
 *
 * What it may write is one file outside, the PDF, and a small file system in memory that goes with it. What it reads
 * is read-only, so that no file of an archive can be replaced by a link between two passes.
 */

import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SYSTEM_CALL_FILTER } from './system-calls.ts'
import type { TemplateFormat } from './template-format.ts'
import type { Toolchain } from './toolchain.ts'

export interface Command {
  file: string
  args: string[]
  env: Record<string, string>
  sandboxed: boolean
  /** What it reads from file descriptor 4. */
  filter?: Buffer | undefined
}

/** A compilation's folder: what TeX reads lies in `in/`, and an empty file in `out/` is where the PDF goes. */
export interface Job {
  folder: string
  /** The file to start with, as a path in `in/` with slashes. */
  main: string
  /** Without one, LaTeX's own. */
  format?: TemplateFormat | undefined
  /** Exactly so many passes after the first; as many as references need, if undefined. */
  reruns?: number | undefined
}

export const inputFolder = (job: Pick<Job, 'folder'>) => join(job.folder, 'in')
export const outputFolder = (job: Pick<Job, 'folder'>) => join(job.folder, 'out')
/** What Tectonic calls the PDF. */
export const pdfName = ({ main }: Pick<Job, 'main'>) => `${basename(main).replace(/\.[^.]*$/, '')}.pdf`

export const CPU_SECONDS = 10 // a page takes 0.1; the wall-clock limit is the caller's
export const MAX_PDF_BYTES = 20_000_000
const LIMITS = [
  `--cpu=${CPU_SECONDS}:${CPU_SECONDS + 1}`,
  '--as=1000000000', // a page needs 180 MB
  `--fsize=${MAX_PDF_BYTES}`,
  '--core=0',
  '--nofile=256',
]
/** All that TeX writes beside the PDF, bytes. It is memory. */
const SCRATCH_BYTES = 33_554_432

/** glibc can ask for huge pages only when it can read this; hidden from it, loading the format takes twice as long. */
const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage'
const HUGE_PAGES_WANTED = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }

/** File descriptor on which bubblewrap tells the child's process ID. */
const STATUS_FD = 3
/** And from which it reads the filter of system calls. */
const FILTER_FD = 4

/** Starts Tectonic on a job; in the sandbox when the toolchain has one. */
export function tectonicCommand(toolchain: Toolchain, job: Job): Command {
  const { bwrap, prlimit } = toolchain
  const bundle = job.format?.bundle ?? toolchain.bundle
  const texCache = job.format?.texCache ?? toolchain.texCache
  const args = [
    ...['--print', '--untrusted'],
    ...(job.format ? ['--format', job.format.name] : []),
    ...(job.reruns === undefined ? [] : ['--reruns', String(job.reruns)]),
  ]
  if (bwrap && bundle && prlimit) return sandboxed({ ...toolchain, bwrap, bundle, prlimit, texCache }, job, args)
  return limited(bareCommand({ ...toolchain, bundle, texCache }, job, args), prlimit)
}

/** A command that succeeds only where the sandbox works. */
export function sandboxProbe(toolchain: Toolchain, job: Job): Command {
  const command = tectonicCommand(toolchain, job)
  return { ...command, args: command.args.toSpliced(-1, 1, '--version') }
}

/** Tectonic without sandbox and limits: for what set-up and boot make, and nobody sends. */
export function bareCommand(
  { tectonic, loader, bundle, texCache }: Pick<Toolchain, 'tectonic' | 'loader' | 'bundle' | 'texCache'>,
  job: Job,
  tectonicArgs: string[],
): Command {
  const program = loader ? [loader.ldso, '--library-path', loader.libraryPath, tectonic] : [tectonic]
  const [file = tectonic, ...args] = [
    ...program,
    ...(bundle ? ['--bundle', bundle] : []),
    ...tectonicArgs,
    ...['--outdir', outputFolder(job), join(inputFolder(job), job.main)],
  ]
  return { file, args, env: environment({ cache: texCache, home: job.folder }), sandboxed: false }
}

function limited(command: Command, prlimit: string | undefined): Command {
  return prlimit ? { ...command, file: prlimit, args: [...LIMITS, '--', command.file, ...command.args] } : command
}

function sandboxed(
  toolchain: Toolchain & { bwrap: string; bundle: string; prlimit: string },
  job: Job,
  tectonicArgs: string[],
): Command {
  const { bwrap, bundle, prlimit, tectonic, loader, texCache } = toolchain
  const program = loader
    ? [`/rt/${basename(loader.ldso)}`, '--library-path', '/rt', `/rt/${basename(tectonic)}`]
    : [`/rt/${basename(tectonic)}`]
  const env = environment({ cache: '/cache', home: '/out' })
  const pdf = pdfName(job)
  const args = [
    ...LIMITS,
    '--',
    bwrap,
    ...['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--as-pid-1'],
    ...['--json-status-fd', String(STATUS_FD), '--clearenv'],
    ...(SYSTEM_CALL_FILTER ? ['--seccomp', String(FILTER_FD)] : []),
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    // The folder beside Tectonic holds its loader and libraries: nothing of this machine's own file system is shown.
    ...['--ro-bind', loader?.libraryPath ?? tectonic, loader ? '/rt' : `/rt/${basename(tectonic)}`],
    ...['--ro-bind', bundle, '/bundle', '--ro-bind', texCache, '/cache', '--ro-bind', inputFolder(job), '/in'],
    ...(existsSync(HUGE_PAGES) ? ['--ro-bind', HUGE_PAGES, HUGE_PAGES] : []),
    ...['--size', String(SCRATCH_BYTES), '--tmpfs', '/out'],
    ...['--bind', join(outputFolder(job), pdf), `/out/${pdf}`],
    ...['--remount-ro', '/', '--chdir', join('/in', dirname(job.main))],
    '--',
    ...program,
    ...['--bundle', '/bundle'],
    ...tectonicArgs,
    ...['--outdir', '/out', join('/in', job.main)],
  ]
  return { file: prlimit, args, env: {}, sandboxed: true, filter: SYSTEM_CALL_FILTER }
}

function environment({ cache, home }: { cache: string; home: string }): Record<string, string> {
  const startOfDay = Math.floor(Date.now() / 86_400_000) * 86_400
  return {
    HOME: home,
    TECTONIC_CACHE_DIR: cache,
    // The day and not the second: \today is right, and the same input gives the same bytes until midnight.
    SOURCE_DATE_EPOCH: String(startOfDay),
    ...HUGE_PAGES_WANTED,
  }
}
