/**
 * A real Prometheus and a real Alertmanager that live 60 times as fast: every range, `for` and offset of the rules is
 * divided by 60. What they tell arrives at a desk of ours, twice: once of everything that fires, and once by the example's
 * routing, where what follows from something else is kept quiet.
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { closeOnSignal } from '../closing.ts'
import { type Notification, openDesk } from '../observe/desk.ts'
import { exampleRouting, startAlertmanager, startPrometheus, type Target } from '../observe/prometheus.ts'
import type { PrometheusPrograms } from '../setup/prometheus.ts'
import type { Document, Rule } from './document.ts'
import { faster, fasterDuration } from './faster.ts'
import { rulesFile } from './rules-file.ts'

const FACTOR = 60
/** Rules look back five minutes for a sample; divided as they are. */
const LOOKBACK = '5s'
const SCRAPE = '500ms'
/** The receiver of everything. */
const ALL = 'all'

/** An alert by its name and what sets it apart from others of that name. */
export interface Seen extends Notification {
  /** Since the `begin` before it, milliseconds. */
  afterMs: number
  /** Whether that was the last `begin`: what has fired before and goes on is not told again. */
  now: boolean
}

export interface Proof {
  /** From now on times count anew. */
  begin(): void
  /** Everything that has fired since the start, the first time each. */
  seen(): Seen[]
  /** What the example's routing has told since the start. */
  told(): Seen[]
  /** What is kept quiet now, by name. */
  quiet(): Promise<string[]>
  /** Resolves with the alert of this name and these labels, when it is or has been told of. Throws after `ms`. */
  fires(alert: string, labels: Record<string, string>, ms: number): Promise<Seen>
  /** Series that Prometheus answers to a query. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: number }[]>
  /** The traces behind the points of a query, as Prometheus has scraped them. */
  tracesOf(expression: string): Promise<string[]>
  close(): Promise<void>
}

/** Starts all of it. Throws when something does not come up, and leaves nothing behind then. */
export async function startProof(
  programs: PrometheusPrograms,
  documents: Document[],
  targets: readonly Target[],
): Promise<Proof> {
  const closing: (() => Promise<unknown>)[] = []
  const close = async () => {
    forget()
    for (const end of closing.splice(0).reverse()) await end()
  }
  const forget = closeOnSignal(close)
  try {
    const folder = await mkdtemp(join(tmpdir(), 'pass-ats-proof-'))
    closing.push(() => rm(folder, { recursive: true, force: true }))
    for (const name of ['all', 'routed']) await mkdir(join(folder, name))

    let beganAt = performance.now()
    let round = 0
    const notified: (Seen & { round: number })[] = []
    const waiting = new Set<() => void>()
    const desk = await openDesk(documents, {
      port: 0,
      onNotified(notification) {
        notified.push({ ...notification, afterMs: performance.now() - beganAt, now: true, round })
        for (const look of waiting) look()
      },
    })
    closing.push(() => desk.close())

    const listen = '127.0.0.1:0'
    const everything = await startAlertmanager(programs, {
      folder: join(folder, 'all'),
      listen,
      config: atOnce({
        route: { receiver: ALL, group_by: ['...'] },
        receivers: [{ name: ALL, webhook_configs: [{ url: `${desk.url}/notify/${ALL}` }] }],
      }),
    })
    closing.push(() => everything.stop())
    const routed = await startAlertmanager(programs, {
      folder: join(folder, 'routed'),
      listen,
      config: (await exampleRouting(desk.url)).replaceAll(/^( *group_(wait|interval)): \w+$/gm, '$1: 1s'),
    })
    closing.push(() => routed.stop())
    const prometheus = await startPrometheus(programs, {
      ...{ folder, listen, targets, alertmanagers: [everything, routed] },
      rules: rulesFile(documents, { runbooks: `${desk.url}/runbooks`, change: sped }),
      ...{ scrapeInterval: SCRAPE, lookback: LOOKBACK, resendDelay: '1s' },
    })
    closing.push(() => prometheus.stop())

    const firing = (of: (receiver: string) => boolean) =>
      firstOfEach(notified.filter(({ receiver, status }) => status === 'firing' && of(receiver)))
    return {
      begin() {
        beganAt = performance.now()
        round += 1
      },
      seen: () => firing((receiver) => receiver === ALL),
      told: () => firing((receiver) => receiver !== ALL),
      async quiet() {
        const response = await fetch(`${routed.url}/api/v2/alerts?active=false&inhibited=true`)
        const alerts = (await response.json()) as { labels: Record<string, string> }[]
        return [...new Set(alerts.map(({ labels }) => labels.alertname ?? ''))].sort()
      },
      fires(alert, labels, ms) {
        const find = () =>
          notified.find(
            (one) =>
              one.receiver === ALL &&
              one.status === 'firing' &&
              one.labels.alertname === alert &&
              Object.entries(labels).every(([name, value]) => one.labels[name] === value),
          )
        return new Promise((resolve, reject) => {
          const look = () => {
            const found = find()
            if (!found) return
            waiting.delete(look)
            clearTimeout(patience)
            resolve({ ...found, now: found.round === round })
          }
          const patience = setTimeout(() => {
            waiting.delete(look)
            reject(new Error(`${alert} ${JSON.stringify(labels)} has not fired within ${ms / 1_000} s`))
          }, ms)
          waiting.add(look)
          look()
        })
      },
      async query(expression) {
        const response = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(expression)}`)
        const { data } = (await response.json()) as {
          data: { result: { metric: Record<string, string>; value: [number, string] }[] }
        }
        return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
      },
      async tracesOf(expression) {
        const now = Date.now() / 1_000
        const query = new URLSearchParams({ query: expression, start: String(now - 600), end: String(now) })
        const response = await fetch(`${prometheus.url}/api/v1/query_exemplars?${query}`)
        const { data } = (await response.json()) as { data: { exemplars: { labels: { trace_id?: string } }[] }[] }
        return data.flatMap(({ exemplars }) => exemplars.flatMap(({ labels }) => labels.trace_id ?? []))
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function sped(rule: Rule): Rule {
  return {
    ...rule,
    expr: faster(rule.expr, FACTOR),
    ...(rule.for !== undefined && { for: fasterDuration(rule.for, FACTOR) }),
  }
}

function atOnce({ route, receivers }: { route: object; receivers: object[] }): string {
  return stringify({ route: { ...route, group_wait: '0s', group_interval: '1s', repeat_interval: '1h' }, receivers })
}

function firstOfEach(notifications: Seen[]): Seen[] {
  return [...new Map(notifications.toReversed().map((one) => [JSON.stringify(one.labels), one])).values()].reverse()
}
