/** One of the stacks that are compared: relay, server, browser and extension, with telemetry or without, and its times. */

import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { startBackend, TAKEN, type Treatment } from '../fixtures/relay/backend.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { generate, saveSettings } from '../ops/demonstration.ts'
import { freePort } from '../ops/free-port.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { CONTENT_TYPES } from '../relay/otlp.ts'
import { cpuSeconds, residentMiB } from './held.ts'
import { otlpPayload } from './otlp-payload.ts'

const UNCOUNTED = fileURLToPath(new URL('../fixtures/metrics/uncounted.ts', import.meta.url))
const POSTING = 'json-ld-graph.html'
const LATEX = '\\documentclass{article}\\begin{document}Telemetry costs nothing.\\end{document}'
/** No spans, no lines of log, nothing counted. */
const OFF = { OTEL_SDK_DISABLED: 'true', LOG_LEVEL: 'silent', NODE_OPTIONS: `--import=${UNCOUNTED}` }

/** With telemetry, without, and with it while the backend behind the relay is in trouble. */
export type Kind = 'on' | 'off' | 'backend dead' | 'backend silent' | 'backend failing'

const TREATMENTS: Partial<Record<Kind, Treatment>> = {
  on: TAKEN,
  'backend silent': { taken: false, answer: 'silence' },
  'backend failing': { taken: false, answer: { status: 503 } },
}

/** Milliseconds that somebody waits for. */
export interface Waits {
  clickToPdf: number
  /** POST /generate to its answer, and from its sending to the first event, and to the last. */
  generate: number
  firstEvent: number
  lastEvent: number
  compile: number
}

/** What was used: milliseconds of processor time since the last time this was asked, and memory now. */
export interface Used {
  relayCpuMs: number
  serverCpuMs: number
  extensionCpuMs: number
  relayMiB: number
  serverMiB: number
  extensionMiB: number
}

export interface Side {
  kind: Kind
  /** A round for relay and server only. */
  warmUp(): Promise<void>
  round(): Promise<Waits>
  used(): Promise<Used>
  stop(): Promise<void>
}

export async function startSide(kind: Kind, chromium: string, extensionDir: string, profile: object): Promise<Side> {
  const isOff = kind === 'off'
  const treatment = TREATMENTS[kind]
  const backend = treatment && (await startBackend(() => treatment))
  const endpoint = backend?.url ?? (kind === 'backend dead' ? `http://127.0.0.1:${await freePort()}` : undefined)
  const stack = await startTemporaryStack({
    toolchainPath: toolchainPath(),
    env: isOff ? OFF : { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/v1/traces` },
  })
  const browser = await launchBrowser(chromium, undefined, extensionDir)
  await saveSettings(browser, stack.relayUrl, profile)
  const { token } = await (await fetch(`${stack.relayUrl}/installs`, { method: 'POST' })).json()
  const ask = asker(stack, `Bearer ${token}`)
  const extension = (await browser.processes()).find(({ isExtension }) => isExtension)?.id ?? 0
  const pids = { relay: stack.relay.pid ?? 0, server: stack.server.pid ?? 0, extension }
  let before = { relay: 0, server: 0, extension: 0 }
  let rounds = 0
  return {
    kind,
    async warmUp() {
      await ask.forRun(profile)
      await ask.forPdf()
    },
    async round() {
      rounds += 1
      // Where the backend is in trouble, there is always something for it.
      if (kind.startsWith('backend')) await sendDue(stack, rounds)
      return { clickToPdf: await clickToPdf(browser), ...(await ask.forRun(profile)), compile: await ask.forPdf() }
    },
    async used() {
      const now = {
        relay: cpuSeconds(pids.relay),
        server: cpuSeconds(pids.server),
        extension: cpuSeconds(pids.extension),
      }
      const since = (who: keyof typeof pids) => (now[who] - before[who]) * 1_000
      const used = {
        relayCpuMs: since('relay'),
        serverCpuMs: since('server'),
        extensionCpuMs: since('extension'),
        relayMiB: await residentMiB(pids.relay),
        serverMiB: await residentMiB(pids.server),
        extensionMiB: await residentMiB(pids.extension),
      }
      before = now
      return used
    },
    async stop() {
      await browser.close()
      await stack.stop()
      await backend?.close()
    },
  }
}

/** As the person sees it: from the click in the popup until their PDF is in the browser. */
async function clickToPdf(browser: Browser): Promise<number> {
  const run = await generate(browser, POSTING)
  if (run.status !== 'done') throw new Error(`A run failed: ${run.failure?.code}`)
  return (run.endedAt ?? Number.NaN) - run.startedAt
}

function asker({ relayUrl }: Stack, authorization: string) {
  const ask = async (path: string, init: RequestInit) => {
    const response = await fetch(relayUrl + path, { ...init, headers: { ...init.headers, authorization } })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response
  }
  return {
    async forRun(profile: object): Promise<Omit<Waits, 'clickToPdf' | 'compile'>> {
      const id = randomBytes(16).toString('hex')
      const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-03`
      const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka, Go' }
      const body = JSON.stringify({ profile, posting })
      const headers = { 'content-type': 'application/json', traceparent }
      const askedAt = performance.now()
      await (await ask('/generate', { method: 'POST', body, headers })).text()
      const generate = performance.now() - askedAt
      const events = await ask(`/runs/${id}/events`, {})
      let firstEvent: number | undefined
      let text = ''
      for await (const chunk of events.body ?? []) {
        firstEvent ??= performance.now() - askedAt
        text += Buffer.from(chunk).toString('utf8')
      }
      if (!text.includes('"type":"done"')) throw new Error(`The run ${id} did not end in a PDF.`)
      return { generate, firstEvent: firstEvent ?? Number.NaN, lastEvent: performance.now() - askedAt }
    },
    async forPdf(): Promise<number> {
      const askedAt = performance.now()
      const headers = { 'content-type': 'application/x-tex' }
      await (await ask('/compile', { method: 'POST', body: LATEX, headers })).arrayBuffer()
      return performance.now() - askedAt
    },
  }
}

async function sendDue({ relayUrl, serviceKey }: Stack, seed: number): Promise<void> {
  const headers = { authorization: `Bearer ${serviceKey}`, 'content-type': CONTENT_TYPES.protobuf }
  const body = new Uint8Array(otlpPayload(64, 'protobuf', seed, 1))
  await (await fetch(`${relayUrl}/v1/traces`, { method: 'POST', headers, body })).arrayBuffer()
}
