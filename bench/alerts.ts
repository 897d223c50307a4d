/**
 * Alerts from real causes: real stacks under traffic, a real Prometheus and Alertmanager that live 60 times as fast, and
 * one thing after another that is broken on purpose, until the alert of it arrives at a webhook. It takes half an hour,
 * because a rule compares with yesterday, and a day has 24 minutes.
 */

import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout as pass } from 'node:timers/promises'
import { setUpCauses } from '../ops/alerts/broken/causes.ts'
import { readDocuments } from '../ops/alerts/document.ts'
import { type Seen, startProof } from '../ops/alerts/proof.ts'
import { Progress } from '../ops/setup/progress.ts'
import { findPrometheus } from '../ops/setup/prometheus.ts'
import { findRedis } from '../ops/setup/redis.ts'
import { setUpToolchain } from '../ops/setup/toolchain.ts'
import type { Measured } from './bench.ts'
import { none } from './target.ts'

const PATIENCE_MS = 60_000

interface Told {
  cause: string
  alert: string
  severity: string
  seconds: number
  runbook: boolean
}

/** `runs` is the length of the healthy period, seconds, which are minutes to the rules. */
export async function benchAlerts(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  const programs = await findPrometheus(progress)
  await findRedis(progress)
  const documents = readDocuments()
  const before = await foldersOfCompilations()
  const measured = await watched(async (closing) => {
    const place = await setUpCauses(closing)
    const proof = await startProof(programs, documents, place.targets)
    closing.push(() => proof.close())
    place.startTraffic()

    await pass(runs * 1_000)
    const healthy = proof.seen()
    report('healthy', healthy)
    await place.breakForChecksOnly()
    const ofChecks = proof.seen().slice(healthy.length)
    report('checks only', ofChecks)

    const told: Told[] = []
    const silent: string[] = []
    for (const { what, alerts, patienceMs = PATIENCE_MS, impossible, provoke, repair } of place.causes) {
      const why = await impossible?.()
      if (why) {
        silent.push(...alerts.map(([alert]) => `${what}: ${alert}: ${why}`))
        console.error(`  ${what.padEnd(60)}${why}`)
        continue
      }
      proof.begin()
      const stop = new AbortController()
      const provoking = provoke(stop.signal).catch((error) => error)
      for (const [alert, labels = {}] of alerts) {
        const seen = await proof.fires(alert, labels, patienceMs).catch(() => undefined)
        const details = seen?.now && { cause: what, alert, ...(await detailsOf(seen)) }
        if (details) told.push(details)
        // Or it fires, but of something that was broken before.
        else silent.push(`${what}: ${alert}${seen ? ', which fired before' : ''}`)
        console.error(
          `  ${what.padEnd(60)}${alert.padEnd(28)}${details ? inWords(details) : seen ? 'before' : 'silent'}`,
        )
      }
      stop.abort()
      const error = await provoking
      if (error instanceof Error) silent.push(`${what}: ${error.message}`)
      await repair?.()
    }
    return { healthy: names(healthy), ofChecks: names(ofChecks), told, silent, quiet: await proof.quiet() }
  })
  const { healthy, ofChecks, told, silent } = measured
  const left = (await foldersOfCompilations()).filter((name) => !before.includes(name))
  const known = documents.flatMap(({ sections }) =>
    sections.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? [])),
  )
  const uncaused = known.filter((alert) => !told.some((one) => one.alert === alert))
  return {
    results: { healthySeconds: runs, alerts: known.length, ...measured, uncaused, left },
    targets: [
      none('alerts in the healthy period', healthy.length),
      none('alerts on what happens to checks only', ofChecks.length),
      none('causes whose alert did not arrive', silent.length),
      none('alerts of the documents that nothing has caused', uncaused.length),
      none('alerts without a runbook that opens', told.filter(({ runbook }) => !runbook).length),
      none('folders of compilations left', left.length),
    ],
  }
}

/** Closes what was opened, whatever happens, the newest first. */
async function watched<T>(work: (closing: (() => unknown)[]) => Promise<T>): Promise<T> {
  const closing: (() => unknown)[] = []
  try {
    return await work(closing)
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

const names = (seen: Seen[]) => seen.map(({ labels }) => labels.alertname)
const report = (what: string, seen: Seen[]) => console.error(`  ${what}: ${names(seen).join(', ') || 'nothing fires'}`)
const inWords = ({ seconds, severity, runbook }: Told) =>
  `${seconds.toFixed(1).padStart(7)} s  ${severity.padEnd(10)}${runbook ? 'its runbook opens' : 'no runbook'}`

async function foldersOfCompilations(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('pass-ats-compile-'))
}

async function detailsOf({ labels, annotations, afterMs }: Seen) {
  const link = new URL(annotations.runbook_url ?? '')
  const page = await fetch(link)
  const runbook = page.ok && (await page.text()).includes(`id="${link.hash.slice(1)}"`)
  return { severity: labels.severity ?? '', seconds: Math.round(afterMs / 100) / 10, runbook }
}
