/** Prometheus and Alertmanager, and the tools that check their files: for tests and `npm run observe`. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { made } from './cache.ts'
import { type Debian, debian, unpackPackages } from './debian.ts'
import { isExecutable, onPath } from './program.ts'
import { type Progress, SetupError } from './progress.ts'

const PACKAGES = ['prometheus', 'prometheus-alertmanager']
const DAEMONS = ['prometheus', 'prometheus-alertmanager']
/** Change whenever the code below would make another folder. */
const RECIPE_VERSION = 2

/** Where Debian's programs look for their pages and templates, and where nothing is when a package is only unpacked. */
const SHARE = '/usr/share/prometheus'
/** The folder that they are started in, by a name that is as long, so that it fits in its place in the programs. */
const HERE = `${'./'.repeat(SHARE.length / 2)}.`

/** Paths of the four programs. */
export interface PrometheusPrograms {
  prometheus: string
  promtool: string
  alertmanager: string
  amtool: string
  /** The folder to start them in, where it matters. */
  cwd?: string
}

/** Finds or makes them, and says so. Throws SetupError when they cannot be had here. */
export async function findPrometheus(progress: Progress): Promise<PrometheusPrograms> {
  return progress.step('Prometheus tools', async (now) => {
    const value = await prometheusPrograms(now)
    return { value, shown: value.prometheus }
  })
}

/**
 * The four of PATH, or those of Debian's packages, unpacked into the cache. Not installed: the packages would start two
 * services on this machine that nobody asked for. Throws SetupError when there are none.
 */
export async function prometheusPrograms(now: (busy: string) => void = () => {}): Promise<PrometheusPrograms> {
  return (await onSystem()) ?? (await unpacked(await debian(), now))
}

async function onSystem(): Promise<PrometheusPrograms | undefined> {
  const [prometheus, promtool, alertmanager, amtool] = await Promise.all([
    onPath('prometheus'),
    onPath('promtool'),
    onPath('alertmanager', 'prometheus-alertmanager'),
    onPath('amtool'),
  ])
  return prometheus && promtool && alertmanager && amtool ? { prometheus, promtool, alertmanager, amtool } : undefined
}

async function unpacked(system: Debian | undefined, now: (busy: string) => void): Promise<PrometheusPrograms> {
  const why = 'proving the alerts, and npm run observe'
  const fix = 'put prometheus, promtool, alertmanager and amtool on PATH (https://prometheus.io/download)'
  if (!system) throw new SetupError('Prometheus and Alertmanager were not found.', { why, fix })
  const recipe = { version: RECIPE_VERSION, packages: PACKAGES, release: system.codename, arch: process.arch }
  const folder = await made('prometheus', recipe, async (into) => {
    now('unpacking Debian’s packages (30 MB, once)')
    await unpackPackages(system, { release: system.codename, packages: PACKAGES, into, work: into })
    for (const name of DAEMONS) await lookBeside(join(into, 'usr', 'bin', name))
  }).catch((cause) => {
    throw new SetupError('Prometheus and Alertmanager could not be fetched.', { why, fix, cause })
  })
  const program = (name: string) => join(folder, 'usr', 'bin', name)
  const programs = {
    prometheus: program('prometheus'),
    promtool: program('promtool'),
    alertmanager: program('prometheus-alertmanager'),
    amtool: program('amtool'),
    cwd: join(folder, SHARE),
  }
  for (const path of [programs.prometheus, programs.promtool, programs.alertmanager, programs.amtool]) {
    if (!(await isExecutable(path))) throw new SetupError(`${path} is missing or cannot be run.`, { why, fix })
  }
  return programs
}

/** Replaces the folder that is compiled into a program; no option changes it, and nothing is to be put into the system's. */
async function lookBeside(program: string): Promise<void> {
  const code = await readFile(program)
  for (let at = code.indexOf(SHARE); at >= 0; at = code.indexOf(SHARE, at)) code.write(HERE, at, 'latin1')
  await writeFile(program, code)
}
