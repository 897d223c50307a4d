/** A Tectonic that does as it is told: a script in front of the real one. It can't be in the sandbox. */

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeOnSignal } from '../../closing.ts'
import { readToolchain } from '../../setup/toolchain.ts'

/** A script in front of the real Tectonic that reads from a file what to do. */
export async function obedientTectonic(closing: (() => unknown)[]) {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-tectonic-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  const forget = closeOnSignal(remove)
  closing.push(() => {
    forget()
    return remove()
  })
  const { tectonic, loader, bwrap: _, ...rest } = await readToolchain()
  const real = loader ? [loader.ldso, '--library-path', loader.libraryPath, tectonic] : [tectonic]
  const mode = join(folder, 'mode')
  const script = join(folder, 'tectonic')
  await writeFile(
    script,
    `#!/bin/sh
read -r mode < '${mode}'
case $mode in
  # As the kernel does it: for a fault, for want of memory, at the bound of processor time, at that of a file's size.
  crash) kill -SEGV $$ ;;
  memory) kill -KILL $$ ;;
  time) kill -XCPU $$ ;;
  size) kill -XFSZ $$ ;;
esac
${real.map((part) => `'${part}'`).join(' ')} "$@" || exit $?
if [ "$mode" = damage ]; then
  while [ "$#" -gt 0 ]; do [ "$1" = --outdir ] && out=$2; shift; done
  for pdf in "$out"/*.pdf; do echo 'not a PDF' > "$pdf"; done
fi
`,
  )
  await chmod(script, 0o755)
  const does = (what: 'work' | 'crash' | 'memory' | 'time' | 'size' | 'damage') => writeFile(mode, `${what}\n`)
  await does('work')
  const path = join(folder, 'toolchain.json')
  await writeFile(path, JSON.stringify({ ...rest, formats: join(folder, 'formats'), tectonic: script }))
  return { toolchainPath: path, program: script, does }
}
