/** A real Prometheus with hours of traffic in it, for tests and for looking at the dashboards. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../free-port.ts'
import type { PrometheusPrograms } from '../setup/prometheus.ts'
import { history } from './traffic.ts'

/** Fills one with traffic up to now, starts it, and resolves when it answers. `close` leaves nothing behind. */
export async function startFilledPrometheus(
  { prometheus, promtool, cwd }: PrometheusPrograms,
  { seconds, scrape }: { seconds: number; scrape: number },
): Promise<{ base: string; to: number; close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-prometheus-'))
  const to = Math.floor(Date.now() / 1000 / scrape - 1) * scrape
  try {
    await writeFile(join(folder, 'history'), await history({ from: to - seconds, to, step: scrape }))
    const blocks = ['tsdb', 'create-blocks-from', 'openmetrics', join(folder, 'history'), join(folder, 'data')]
    await promisify(execFile)(promtool, blocks, { cwd })
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  await writeFile(join(folder, 'prometheus.yml'), 'scrape_configs: []\n')
  // It does not say which port it got when it is told 0.
  const address = `127.0.0.1:${await freePort()}`
  const running = spawn(
    prometheus,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { cwd, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const exited = once(running, 'exit')
  const close = async () => {
    running.kill('SIGTERM')
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  let log = ''
  // Read to its end: a Prometheus that cannot write its log ends.
  const ready = new Promise<boolean>((resolve) => {
    running.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (log.length < 100_000) log += text
      if (log.includes('Server is ready to receive web requests')) resolve(true)
    })
    running.stderr.on('end', () => resolve(false))
  })
  if (!(await ready)) {
    await close()
    throw new Error(`Prometheus did not start:\n${log}`)
  }
  return { base: `http://${address}`, to, close }
}
