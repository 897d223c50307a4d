/**
 * `npm run release`: all that a release consists of, in `release/`: the extension for the stores of Chrome and Firefox, the
 * source that Firefox's store asks for, the bill of materials, and checksums. The same commit gives the same bytes. Relay
 * and server are released as this repository, and as the image of `ops/deploy/Dockerfile`.
 */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import packageJson from '../../package.json' with { type: 'json' }
import { closeOnSignal, exitOnSignals } from '../closing.ts'
import { buildExtension } from '../extension-build.ts'
import { Progress } from '../setup/progress.ts'
import { billOfMaterials } from './bill-of-materials.ts'
import { notesOf } from './changelog.ts'
import { zipOf } from './zip.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = join(ROOT, 'release')
const STORES = { chrome: 'chromium', firefox: 'firefox' } as const

exitOnSignals()
try {
  await release(packageJson.name, packageJson.version)
} catch (error) {
  console.error(`\n  ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}

async function release(name: string, version: string): Promise<void> {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, maxBuffer: 512 * 1024 ** 2 })
  if (git('status', '--porcelain').length > 0) {
    throw new Error(
      'There are changes in no commit. Commit them: what is released must be what everybody can check out.',
    )
  }
  const notes = notesOf(await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8'), version)
  const at = new Date(Number(git('log', '-1', '--format=%ct').toString()) * 1_000).toISOString()
  const files = new Map<string, Uint8Array | string>()
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-release-'))
  const remove = () => rm(temporary, { recursive: true, force: true })
  const forget = closeOnSignal(remove)
  try {
    for (const [store, target] of Object.entries(STORES)) {
      const folder = join(temporary, store)
      await buildExtension(new Progress(), target, folder)
      files.set(`${name}-${version}-${store}.zip`, await zipOf(folder))
    }
  } finally {
    await remove()
    forget()
  }
  files.set(`${name}-${version}-source.zip`, git('archive', '--format=zip', `--prefix=${name}-${version}/`, 'HEAD'))
  files.set(`${name}-${version}.cdx.json`, billOfMaterials(ROOT, name, at))
  files.set(`${name}-${version}.notes.md`, notes)
  const sums = [...files].map(([file, content]) => `${createHash('sha256').update(content).digest('hex')}  ${file}`)
  files.set('SHA256SUMS', `${sums.join('\n')}\n`)
  await rm(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER)
  for (const [file, content] of files) await writeFile(join(FOLDER, file), content)
  console.log(`\n${[...sums, ''].join('\n')}\nIn release/. What to do with them: CONTRIBUTING.md, "A release".`)
}
