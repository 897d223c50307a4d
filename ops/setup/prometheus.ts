/** Prometheus and Alertmanager, and the tools that check their files: for tests and `npm run observe`. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onPath } from './program.ts'
import type { Progress } from './progress.ts'
import { unpackedPrograms, type Wanted } from './unpacked.ts'

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

/** The four of PATH, or Debian's. Throws SetupError when there are none. */
export async function prometheusPrograms(now: (busy: string) => void = () => {}): Promise<PrometheusPrograms> {
  const found = await onSystem()
  if (found) return found
  const folder = await unpackedPrograms(DEBIANS, now)
  const program = (name: string) => join(folder, 'usr', 'bin', name)
  return {
    prometheus: program('prometheus'),
    promtool: program('promtool'),
    alertmanager: program('prometheus-alertmanager'),
    amtool: program('amtool'),
    cwd: join(folder, SHARE),
  }
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

const DAEMONS = ['prometheus', 'prometheus-alertmanager']
const DEBIANS: Wanted = {
  ...{ what: 'Prometheus and Alertmanager', name: 'prometheus', packages: DAEMONS, version: 2, megabytes: 30 },
  programs: [...DAEMONS, 'promtool', 'amtool'].map((name) => join('usr', 'bin', name)),
  why: 'proving the alerts, and npm run observe',
  fix: 'put prometheus, promtool, alertmanager and amtool on PATH (https://prometheus.io/download)',
  async finish(folder) {
    for (const name of DAEMONS) await lookBeside(join(folder, 'usr', 'bin', name))
  },
}

/** Replaces the folder that is compiled into a program; no option changes it, and nothing is to be put into the system's. */
async function lookBeside(program: string): Promise<void> {
  const code = await readFile(program)
  for (let at = code.indexOf(SHARE); at >= 0; at = code.indexOf(SHARE, at)) code.write(HERE, at, 'latin1')
  await writeFile(program, code)
}
