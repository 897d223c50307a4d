/** What only Debian and Ubuntu offer: installing with apt, and unpacking packages without installing them. */

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheRoot } from './cache.ts'
import { onPath, output } from './program.ts'

export interface Debian {
  id: 'debian' | 'ubuntu'
  /** Release this machine runs, e.g. `bookworm`. */
  codename: string
  /** Whether packages may be installed here. */
  root: boolean
}

/** This machine's Debian or Ubuntu release; undefined on any other system. */
export async function debian(): Promise<Debian | undefined> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const field = (name: string) => release.match(new RegExp(`^${name}="?([^"\n]*)"?$`, 'm'))?.[1] ?? ''
  const id = field('ID')
  const codename = field('VERSION_CODENAME')
  if ((id !== 'debian' && id !== 'ubuntu') || !codename || !(await onPath('apt-get'))) return undefined
  return { id, codename, root: process.getuid?.() === 0 }
}

/** Installs packages. `apt-get update` comes only after a first failure: it is slow, and seldom needed twice. */
export async function aptInstall(...packages: string[]): Promise<void> {
  const install = ['install', '-y', '--no-install-recommends', ...packages]
  await aptGet(install).catch(async () => {
    await aptGet(['update'])
    await aptGet(install)
  })
}

/**
 * Downloads packages of a release of this machine's own mirror and unpacks them into `into`. Nothing is installed and
 * the machine's package lists are neither needed nor changed: apt is given a sources list and state folders of its own.
 */
export async function unpackPackages(
  system: Debian,
  { release, packages, into, work }: { release: string; packages: string[]; into: string; work: string },
): Promise<void> {
  const apt = join(work, `apt-${release}`)
  await mkdir(join(apt, 'state', 'lists', 'partial'), { recursive: true })
  await mkdir(join(apt, 'archives', 'partial'), { recursive: true })
  await mkdir(into, { recursive: true })
  const sources = join(apt, 'sources.list')
  await writeFile(
    sources,
    `deb ${await mirror(system)} ${release} ${system.id === 'ubuntu' ? 'main universe' : 'main'}\n`,
  )
  await writeFile(join(apt, 'status'), '')
  const own = [
    `Dir::Etc::SourceList=${sources}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State=${join(apt, 'state')}`,
    `Dir::State::status=${join(apt, 'status')}`,
    `Dir::Cache=${apt}`,
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false',
  ].flatMap((option) => ['-o', option])
  await output('apt-get', [...own, '-q', 'update'], { cwd: apt })
  await output('apt-get', [...own, '-q', 'download', ...packages], { cwd: apt })
  for (const name of await readdir(apt)) {
    if (name.endsWith('.deb')) await output('dpkg', ['-x', join(apt, name), into])
  }
  await rm(apt, { recursive: true, force: true })
}

/**
 * The mirror this machine is set up for, rather than one named here: it is reachable from here, the other may not be.
 * Asked without release information, so that it works before the first `apt-get update` of a new machine.
 */
async function mirror({ id, codename }: Debian): Promise<string> {
  const format = '$(RELEASE) $(COMPONENT) $(REPO_URI)'
  const targets = await output('apt-get', [
    'indextargets',
    '--no-release-info',
    '--format',
    format,
    'Created-By: Packages',
  ])
  const uris = targets.split('\n').flatMap((line) => {
    const [release, component, uri] = line.split(' ')
    return release === codename && component === 'main' && uri ? [uri] : []
  })
  // Third parties name their releases and components alike; the distribution's own archive is called after itself.
  const uri = uris.find((candidate) => new RegExp(`/${id}/?$`).test(candidate)) ?? uris[0]
  if (!uri) throw new Error(`apt has no source for the "main" component of ${codename}`)
  return uri
}

async function aptGet(args: string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const command = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300', ...args]
  await mkdir(cacheRoot(), { recursive: true })
  // `apt-get update` does not wait for its lock, so two set-ups at once take turns here.
  await output('flock', [join(cacheRoot(), '.apt-lock'), ...command], { env })
}
