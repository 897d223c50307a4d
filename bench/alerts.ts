/**
 * Alerts from real causes: two real stacks under traffic, a real Prometheus and Alertmanager that live 60 times as fast, and
 * one thing after another that is broken on purpose, until the alert of it arrives at a webhook.
 */

import { setTimeout as pass } from 'node:timers/promises'
import { setUpCauses } from '../ops/alerts/broken/causes.ts'
import { readDocuments } from '../ops/alerts/document.ts'
import { type Seen, startProof } from '../ops/alerts/proof.ts'
import { Progress } from '../ops/setup/progress.ts'
import { findPrometheus } from '../ops/setup/prometheus.ts'
import { setUpToolchain } from '../ops/setup/toolchain.ts'
import type { Measured } from './bench.ts'

const PATIENCE_MS = 60_000

/** `runs` is the length of the healthy period, seconds, which are minutes to the rules. */
export async function benchAlerts(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  const programs = await findPrometheus(progress)
  const closing: (() => unknown)[] = []
  try {
    const place = await setUpCauses(closing)
    const proof = await startProof(programs, readDocuments(), place.targets)
    closing.push(() => proof.close())
    const stopTraffic = place.startTraffic()
    closing.push(stopTraffic)

    await pass(runs * 1_000)
    const healthy = proof.seen()
    report('healthy', healthy)
    await place.breakForChecksOnly()
    const ofChecks = proof.seen().slice(healthy.length)
    report('checks only', ofChecks)

    const told: { cause: string; alert: string; severity: string; seconds: number; runbook: boolean }[] = []
    const silent: string[] = []
    for (const { what, alerts, provoke, repair } of place.causes) {
      proof.begin()
      const stop = new AbortController()
      const provoking = provoke(stop.signal)
      for (const [alert, labels = {}] of alerts) {
        const seen = await proof.fires(alert, labels, PATIENCE_MS).catch(() => undefined)
        // It fires, but of something that was broken before.
        if (seen && !seen.now) silent.push(`${what}: ${alert}, which fired before`)
        else if (seen) told.push({ cause: what, alert, ...(await detailsOf(seen)) })
        else silent.push(`${what}: ${alert}`)
        console.error(
          `  ${what.padEnd(48)}${alert.padEnd(28)}${seen ? `${(seen.afterMs / 1_000).toFixed(1)} s` : 'silent'}`,
        )
      }
      stop.abort()
      await provoking
      await repair?.()
    }
    const quiet = await proof.quiet()
    return {
      results: { healthySeconds: runs, healthy: names(healthy), ofChecks: names(ofChecks), told, silent, quiet },
      targets: [
        atMost('alerts in the healthy period', healthy.length, 0),
        atMost('alerts on what happens to checks only', ofChecks.length, 0),
        atMost('causes whose alert did not arrive', silent.length, 0),
        atMost('alerts without a runbook that opens', told.filter(({ runbook }) => !runbook).length, 0),
      ],
    }
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

const atMost = (claim: string, value: number, limit: number) => ({ claim, value, limit, ok: value <= limit })
const names = (seen: Seen[]) => seen.map(({ labels }) => labels.alertname)
const report = (what: string, seen: Seen[]) => console.error(`  ${what}: ${names(seen).join(', ') || 'nothing fires'}`)

async function detailsOf({ labels, annotations, afterMs }: Seen) {
  const link = new URL(annotations.runbook_url ?? '')
  const page = await fetch(link)
  const runbook = page.ok && (await page.text()).includes(`id="${link.hash.slice(1)}"`)
  return { severity: labels.severity ?? '', seconds: Math.round(afterMs / 100) / 10, runbook }
}
