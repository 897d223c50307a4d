/**
 * The command line that starts Tectonic: limited by prlimit and, where bubblewrap works, in a sandbox.
 *
 * Tectonic's own `--untrusted` is given too but is no sandbox: it stops shell escapes, while `\input{/etc/passwd}`,
 * `\openout` to any path and endless loops all still work under it. Every part below is ours; nothing is taken from
 * input, and there is no shell in between.
 */

import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { Toolchain } from './tectonic.ts'

export interface Command {
  file: string
  args: string[]
  env: Record<string, string>
  sandboxed: boolean
}

export const CPU_SECONDS = 10 // a page takes 0.1; the wall-clock limit is the caller's
const LIMITS = [
  `--cpu=${CPU_SECONDS}:${CPU_SECONDS + 1}`,
  '--as=1000000000', // a page needs 180 MB
  '--fsize=20000000',
  '--core=0',
  '--nofile=256',
]

/** glibc can ask for huge pages only when it can read this; hidden from it, loading the format takes twice as long. */
const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage'
const HUGE_PAGES_WANTED = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }

/** File descriptor on which bubblewrap tells the child's process ID. */
export const STATUS_FD = 3

/** Starts Tectonic with these arguments on a job folder; in the sandbox when the toolchain has one. */
export function tectonicCommand(toolchain: Toolchain, job: string, args: string[]): Command {
  return toolchain.bwrap && toolchain.bundle && toolchain.prlimit
    ? sandboxed(
        { ...toolchain, bwrap: toolchain.bwrap, bundle: toolchain.bundle, prlimit: toolchain.prlimit },
        job,
        args,
      )
    : bare(toolchain, job, args)
}

/** A command that succeeds only where the sandbox works. */
export function sandboxProbe(toolchain: Toolchain): Command {
  const command = tectonicCommand(toolchain, toolchain.texCache, ['--version'])
  // With nobody at the other end of the status pipe bubblewrap would wait for ever.
  const status = command.args.indexOf('--json-status-fd')
  return status < 0 ? command : { ...command, args: command.args.toSpliced(status, 2) }
}

function sandboxed(
  toolchain: Toolchain & { bwrap: string; bundle: string; prlimit: string },
  job: string,
  tectonicArgs: string[],
): Command {
  const { bwrap, bundle, prlimit, tectonic, loader, texCache } = toolchain
  const program = loader
    ? [`/rt/${basename(loader.ldso)}`, '--library-path', '/rt', `/rt/${basename(tectonic)}`]
    : [`/rt/${basename(tectonic)}`]
  const env = environment({ cache: '/cache', home: '/tmp' })
  const args = [
    ...LIMITS,
    '--',
    bwrap,
    ...['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--as-pid-1'],
    ...['--json-status-fd', String(STATUS_FD), '--clearenv'],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    // The folder beside Tectonic holds its loader and libraries: nothing of this machine's own file system is shown.
    ...['--ro-bind', loader?.libraryPath ?? tectonic, loader ? '/rt' : `/rt/${basename(tectonic)}`],
    ...['--ro-bind', bundle, '/bundle', '--ro-bind', texCache, '/cache'],
    ...(existsSync(HUGE_PAGES) ? ['--ro-bind', HUGE_PAGES, HUGE_PAGES] : []),
    ...['--size', '33554432', '--tmpfs', '/tmp', '--bind', job, '/job', '--chdir', '/job', '--remount-ro', '/'],
    '--',
    ...program,
    ...['--bundle', '/bundle'],
    ...tectonicArgs,
  ]
  return { file: prlimit, args, env: {}, sandboxed: true }
}

function bare(
  { tectonic, loader, bundle, texCache, prlimit }: Toolchain,
  job: string,
  tectonicArgs: string[],
): Command {
  const program = loader ? [loader.ldso, '--library-path', loader.libraryPath, tectonic] : [tectonic]
  const limited = prlimit ? [prlimit, ...LIMITS, '--', ...program] : program
  const [file = tectonic, ...args] = [...limited, ...(bundle ? ['--bundle', bundle] : []), ...tectonicArgs]
  return { file, args, env: environment({ cache: texCache, home: job }), sandboxed: false }
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
