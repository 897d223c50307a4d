/**
 * `npm run observe`: a real Prometheus and a real Alertmanager with the rules of `ops/alerts`, watching a stack that runs
 * on this machine, until Ctrl-C. What fires is told here, with a link to its runbook. History stays in `data/observe`.
 */

import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, styleText } from 'node:util'
import { readDocuments } from './alerts/document.ts'
import { rulesFile } from './alerts/rules-file.ts'
import { closeOnSignal, exitOnSignals, isClosing } from './closing.ts'
import { type Notification, openDesk } from './observe/desk.ts'
import { exampleRouting, startAlertmanager, startPrometheus, type Target } from './observe/prometheus.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { findPrometheus } from './setup/prometheus.ts'

const DATA = fileURLToPath(new URL('../data/observe', import.meta.url))
const GRAFANA = 'ops/observe/grafana/README.md'

const { values: flags } = parseArgs({
  options: {
    relay: { type: 'string', default: '127.0.0.1:9464' },
    server: { type: 'string', default: '127.0.0.1:9465' },
    synthetics: { type: 'string', default: '127.0.0.1:9466' },
    prometheus: { type: 'string', default: '127.0.0.1:9090' },
    alertmanager: { type: 'string', default: '127.0.0.1:9093' },
    /** Where Alertmanager tells what fires, and where runbooks are. */
    desk: { type: 'string', default: '9467' },
    data: { type: 'string', default: DATA },
  },
})

exitOnSignals({
  onSignal: (signal) => {
    console.log(`\n  Stopping (${signal}) …`)
    process.on('exit', () => console.log('  Stopped.'))
  },
})

try {
  await observe()
} catch (error) {
  if (!isClosing()) {
    console.error(`\n  ${error instanceof SetupError ? error : error instanceof Error ? error.message : error}\n`)
    // The signal that everything that did come up is closed by.
    process.kill(process.pid, 'SIGTERM')
  }
}

async function observe(): Promise<void> {
  console.log('\nPASS ATS: observe\n')
  const progress = new Progress()
  const programs = await findPrometheus(progress)
  await mkdir(flags.data, { recursive: true })
  const documents = readDocuments()
  const services = [
    { job: 'pass-ats-relay', address: flags.relay },
    { job: 'pass-ats-server', address: flags.server },
  ]
  const checks = { job: 'pass-ats-synthetics', address: flags.synthetics }
  // Checks of ours need not run here, and those that do not are not down.
  const targets = (await answers(checks)) ? [...services, checks] : services

  const desk = await openDesk(documents, { port: Number(flags.desk), onNotified: tell })
  closeOnSignal(() => desk.close())
  const alertmanager = await progress.step('Alertmanager', async () => {
    const config = await exampleRouting(desk.url)
    const value = await startAlertmanager(programs, { folder: flags.data, listen: flags.alertmanager, config })
    return { value, shown: value.url }
  })
  const prometheus = await progress.step('Prometheus', async () => {
    const rules = rulesFile(documents, { runbooks: `${desk.url}/runbooks` })
    const options = { folder: flags.data, listen: flags.prometheus, rules, targets, alertmanagers: [alertmanager] }
    const value = await startPrometheus(programs, options)
    return { value, shown: value.url }
  })

  // Debian's has the older pages only.
  const pages = (await fetch(`${prometheus.url}/classic/alerts`)).ok ? '/classic' : ''
  console.log('')
  for (const target of targets) {
    const state = (await answers(target)) ? 'answers' : styleText('yellow', 'does not answer yet; npm start')
    console.log(`  ${target.job.padEnd(22)}http://${target.address}/metrics  ${state}`)
  }
  console.log(`
  What fires            ${prometheus.url}${pages}/alerts
  What is asked         ${prometheus.url}${pages}/graph
  What is told          here, and ${alertmanager.url}/api/v2/alerts
  Runbooks              ${desk.url}/runbooks/${documents[0]?.name}.md …
  Dashboards            ${GRAFANA} says how Grafana gets them

  Ready. Ctrl-C stops everything.`)
}

function tell({ status, receiver, labels, annotations }: Notification): void {
  const colour = status === 'resolved' ? 'green' : labels.severity === 'critical' ? 'red' : 'yellow'
  const head = styleText(colour, `${status} ${labels.severity} ${labels.alertname}`)
  console.log(
    `\n  ${new Date().toISOString()}  ${head}, to the ${receiver}\n  ${annotations.summary}\n  ${annotations.runbook_url}`,
  )
}

async function answers({ address }: Target): Promise<boolean> {
  try {
    return (await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(2_000) })).ok
  } catch {
    return false
  }
}
