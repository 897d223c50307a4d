/** A Prometheus and an Alertmanager, wired to what is to be watched. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { PrometheusPrograms } from '../setup/prometheus.ts'
import { type Daemon, startDaemon } from './daemon.ts'

export interface Target {
  /** The label `job`: the service's name. */
  job: string
  /** Host and port whose /metrics is scraped. */
  address: string
}

export interface PrometheusOptions {
  /** Holds configuration and data. */
  folder: string
  /** Host and port; port 0 lets the system pick. */
  listen: string
  rules: string
  targets: readonly Target[]
  alertmanagers: readonly Daemon[]
  /** 15 s and 5 min unless it is said; tests live faster. */
  scrapeInterval?: string
  lookback?: string
  resendDelay?: string
}

/** Resolves when it answers queries. */
export async function startPrometheus(programs: PrometheusPrograms, options: PrometheusOptions): Promise<Daemon> {
  const { folder, listen, rules, targets, alertmanagers } = options
  const { scrapeInterval = '15s', lookback = '5m', resendDelay = '1m' } = options
  const rulesPath = join(folder, 'rules.yml')
  const configPath = join(folder, 'prometheus.yml')
  await writeFile(rulesPath, rules)
  await writeFile(
    configPath,
    stringify({
      global: { scrape_interval: scrapeInterval, scrape_timeout: scrapeInterval, evaluation_interval: scrapeInterval },
      rule_files: [rulesPath],
      alerting: {
        alertmanagers: alertmanagers.map(({ url }) => ({ static_configs: [{ targets: [new URL(url).host] }] })),
      },
      scrape_configs: [...new Set(targets.map(({ job }) => job))].map((job) => ({
        job_name: job,
        static_configs: [{ targets: targets.filter((target) => target.job === job).map(({ address }) => address) }],
      })),
    }),
  )
  const daemon = await startDaemon(
    programs.prometheus,
    [
      `--config.file=${configPath}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${listen}`,
      // Without it a point in a chart does not know its trace.
      '--enable-feature=exemplar-storage',
      `--query.lookback-delta=${lookback}`,
      `--rules.alert.resend-delay=${resendDelay}`,
    ],
    programs.cwd,
  )
  await ready(`${daemon.url}/-/ready`)
  return daemon
}

/** Starts one with a configuration's text. */
export async function startAlertmanager(
  programs: PrometheusPrograms,
  { folder, listen, config }: { folder: string; listen: string; config: string },
): Promise<Daemon> {
  const configPath = join(folder, 'alertmanager.yml')
  await writeFile(configPath, config)
  return startDaemon(
    programs.alertmanager,
    [
      `--config.file=${configPath}`,
      `--storage.path=${join(folder, 'alertmanager')}`,
      `--web.listen-address=${listen}`,
      // One alone: it looks for no others.
      '--cluster.listen-address=',
    ],
    programs.cwd,
  )
}

/** The committed example of an Alertmanager's configuration, with another address to notify. */
export async function exampleRouting(notify: string): Promise<string> {
  const text = await readFile(new URL('../alerts/alertmanager.yml', import.meta.url), 'utf8')
  return text.replaceAll(/http:\/\/127\.0\.0\.1:\d+\//g, `${notify}/`)
}

async function ready(url: string): Promise<void> {
  // It listens before it has read its data, and says 503 meanwhile.
  while (!(await fetch(url)).ok) await new Promise((resolve) => setTimeout(resolve, 50))
}
