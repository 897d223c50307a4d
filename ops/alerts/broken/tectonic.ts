/** A Tectonic that does as it is told: a script in front of the real one. It can't be in the sandbox. */

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeOnSignal } from '../../closing.ts'
import { readToolchain } from '../../setup/toolchain.ts'

/**
 * What it is told to do: end as the kernel would have it (`crash`, `memory`, `time`, `size`), leave noise for a PDF, or
 * work all the same, but `slow`ly, with nearly all the memory that there is for it (`greedy`), or into a PDF that is `large`.
 */
export type Doing = 'work' | 'crash' | 'memory' | 'time' | 'size' | 'damage' | 'slow' | 'greedy' | 'large'

/** Where it is a tenth of one: longer than a run may take, if it is to count as quick. */
const SLOW_SECONDS = 33
/** Of the gigabyte of addresses that a compilation has. */
const GREEDY_MIB = 900
const LARGE_BYTES = 1_400_000

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
  slow) sleep ${SLOW_SECONDS} ;;
esac
${real.map((part) => `'${part}'`).join(' ')} "$@" || exit $?
# In place of the shell, and so in the process that is looked at.
[ "$mode" = greedy ] && exec dd if=/dev/zero of=/dev/null bs=${GREEDY_MIB}M count=1 status=none
while [ "$#" -gt 0 ]; do [ "$1" = --outdir ] && out=$2; shift; done
for pdf in "$out"/*.pdf; do
  case $mode in
    damage) echo 'not a PDF' > "$pdf" ;;
    # A long remark, and after it the end once more: readers look for that at the end.
    large)
      end=$(tail -n 3 "$pdf")
      { printf '%%'; head -c ${LARGE_BYTES} /dev/zero | tr '\\0' x; printf '\\n%s\\n' "$end"; } >> "$pdf" ;;
  esac
done
exit 0
`,
  )
  await chmod(script, 0o755)
  const does = (what: Doing) => writeFile(mode, `${what}\n`)
  await does('work')
  const path = join(folder, 'toolchain.json')
  await writeFile(path, JSON.stringify({ ...rest, formats: join(folder, 'formats'), tectonic: script }))
  return { toolchainPath: path, program: script, does }
}
