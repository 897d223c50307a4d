/** A real Prometheus with hours of traffic in it, for tests and for looking at the dashboards. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startPrometheus } from '../observe/prometheus.ts'
import type { PrometheusPrograms } from '../setup/prometheus.ts'
import { history } from './traffic.ts'

/** Fills one with traffic up to now, starts it, and resolves when it answers. `close` leaves nothing behind. */
export async function startFilledPrometheus(
  programs: PrometheusPrograms,
  { seconds, scrape }: { seconds: number; scrape: number },
): Promise<{ base: string; to: number; close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-prometheus-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  const to = Math.floor(Date.now() / 1000 / scrape - 1) * scrape
  try {
    await writeFile(join(folder, 'history'), await history({ from: to - seconds, to, step: scrape }))
    const blocks = ['tsdb', 'create-blocks-from', 'openmetrics', join(folder, 'history'), join(folder, 'data')]
    await promisify(execFile)(programs.promtool, blocks, { cwd: programs.cwd })
    const nothing = { rules: '', targets: [], alertmanagers: [] }
    const { url, stop } = await startPrometheus(programs, { folder, listen: '127.0.0.1:0', ...nothing })
    const close = async () => {
      await stop()
      await remove()
    }
    return { base: url, to, close }
  } catch (error) {
    await remove()
    throw error
  }
}
