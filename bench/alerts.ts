/**
 * Alerts from real causes: two real stacks under traffic, a real Prometheus and Alertmanager that live 60 times as fast, and
 * one thing after another that is broken on purpose, until the alert of it arrives at a webhook.
 *
 * The second stack has a Tectonic that does as it is told: a script in front of the real one. It can't be in the sandbox, so
 * LaTeX from outside goes to the first.
 */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { readDocuments } from '../ops/alerts/document.ts'
import { type Seen, startProof } from '../ops/alerts/proof.ts'
import { Progress } from '../ops/setup/progress.ts'
import { findPrometheus } from '../ops/setup/prometheus.ts'
import { readToolchain, setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { createTokens } from '../relay/access/tokens.ts'
import type { Measured } from './bench.ts'

/** All that both stacks make and hold, closed in the order of its opening backwards. */
type Closing = (() => unknown)[]
type Answering = 'well' | 'with errors' | 'never'

const PATIENCE_MS = 60_000
const SECRET = randomBytes(32).toString('hex')
const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}
const BROKEN_LATEX = String.raw`\documentclass{article}\begin{document}\nonsense\end{document}`
const ENDLESS_LATEX = String.raw`\documentclass{article}\begin{document}\loop\iftrue\repeat\end{document}`
const SOUND_LATEX = String.raw`\documentclass{article}\begin{document}Sound.\end{document}`

/** One thing that is broken on purpose, and what is to be told of it. */
interface Cause {
  what: string
  alerts: [alert: string, labels?: Record<string, string>][]
  /** Goes on until the signal comes. */
  provoke: (signal: AbortSignal) => Promise<unknown>
  /** Makes it whole again. */
  repair?: () => unknown
}

/** `runs` is the length of the healthy period, seconds, which are minutes to the rules. */
export async function benchAlerts(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  const programs = await findPrometheus(progress)
  const closing: Closing = []
  try {
    const place = await setUp(closing)
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
        if (seen) told.push({ cause: what, alert, ...(await detailsOf(seen)) })
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

async function setUp(closing: Closing) {
  const model = await startOpenAiEndpoint()
  closing.push(() => model.close())
  const hooks = await startReceiver(closing)
  const backend = await startReceiver(closing)
  const first = await startTemporaryStack({
    toolchainPath: toolchainPath(),
    env: {
      LLM_BASE_URL: model.baseUrl,
      LLM_MODEL: 'fixture-model',
      LLM_DAILY_TOKENS_INSTALL: '100000000',
      LLM_DAILY_TOKENS_OVERALL: '100000000',
      COMPILE_TIMEOUT_MS: '4000',
      WEBHOOK_URLS: hooks.url,
      WEBHOOK_SECRETS: `whsec_${randomBytes(32).toString('base64')}`,
      WEBHOOK_ALLOW_LOOPBACK: '1',
      RELAY_SECRETS: SECRET,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: backend.url,
    },
  })
  closing.push(() => first.stop())
  const tectonic = await obedientTectonic(closing)
  const second = await startTemporaryStack({
    toolchainPath: tectonic.toolchainPath,
    env: {
      LLM_BASE_URL: model.baseUrl,
      LLM_MODEL: 'fixture-model',
      LLM_DAILY_TOKENS_INSTALL: '300000',
      LLM_DAILY_TOKENS_OVERALL: '300000',
      RELAY_QUOTA_OVERALL: 'runs=600',
    },
  })
  closing.push(() => second.stop())

  const person = await callerOf(first)
  const check = await callerOf(first, first.syntheticKey)
  const other = await callerOf(second)
  const otherCheck = await callerOf(second, second.syntheticKey)
  const targets = [
    ...[target('pass-ats-relay', first.metricsUrls.relay), target('pass-ats-server', first.metricsUrls.server)],
    ...[target('pass-ats-relay-2', second.metricsUrls.relay), target('pass-ats-server-2', second.metricsUrls.server)],
  ]
  const bad =
    (headers: Record<string, string>, url = first.relayUrl) =>
    (signal: AbortSignal) =>
      over(
        signal,
        20,
        async () => void (await fetch(`${url}/runs/${traceId()}/events`, { headers }).then((r) => r.text())),
      )
  const longAgo = createTokens([SECRET], () => Date.now() - 7_200_000)
  const { token: expired } = await longAgo.issue({ id: crypto.randomUUID(), synthetic: undefined })
  const { token: forged } = await createTokens([randomBytes(32).toString('hex')], Date.now).issue({
    id: crypto.randomUUID(),
    synthetic: undefined,
  })

  const causes: Cause[] = [
    {
      what: 'tokens that expired two hours ago',
      alerts: [['TokensExpire']],
      provoke: bad({ authorization: `Bearer ${expired}` }),
    },
    {
      what: 'tokens that the relay has not signed',
      alerts: [['TokensForged', { reason: 'token_forged' }], ['MostRequestsRefused'], ['AuthBurst']],
      provoke: bad({ authorization: `Bearer ${forged}` }),
    },
    {
      what: 'requests of a web page',
      alerts: [['TokensForged', { reason: 'origin_not_allowed' }]],
      provoke: bad({ origin: 'https://pages.example' }),
    },
    {
      what: 'requests that go around the relay',
      alerts: [['TokensForged', { reason: 'relay_key_refused' }]],
      provoke: bad({}, first.serverUrl),
    },
    {
      what: 'LaTeX with an error, to /compile',
      alerts: [['LatexErrors']],
      provoke: (signal) => over(signal, 2, () => person.compile(BROKEN_LATEX)),
    },
    {
      what: 'LaTeX that never ends, to /compile',
      alerts: [['CompilationsHitLimits']],
      provoke: (signal) => over(signal, 6, () => person.compile(ENDLESS_LATEX)),
    },
    {
      what: 'a Tectonic that crashes',
      alerts: [
        ['TectonicBreaks'],
        ['RunCompilationsFailSlowly'],
        ['RunsFailSlowly'],
        ['RunCompilationsFail'],
        ['RunsFail'],
      ],
      async provoke(signal) {
        await tectonic.does('crash')
        await over(signal, 3, () => other.run())
      },
      repair: () => tectonic.does('work'),
    },
    {
      what: 'a Tectonic that leaves a damaged PDF',
      alerts: [['PdfUnreadable'], ['PdfChecksFail', { check: 'readable' }]],
      async provoke(signal) {
        await tectonic.does('damage')
        await over(signal, 2, () => other.run())
      },
      repair: () => tectonic.does('work'),
    },
    {
      what: 'a receiver of webhooks that answers 500',
      alerts: [
        ['WebhooksFail', { event: 'run.finished' }],
        ['WebhooksAllFail', { event: 'run.finished' }],
      ],
      async provoke(signal) {
        hooks.answer('with errors')
        await over(signal, 1, () => person.run())
      },
    },
    {
      what: 'a receiver of webhooks that never answers',
      alerts: [['WebhooksTimeOut']],
      async provoke(signal) {
        hooks.answer('never')
        await over(signal, 1, () => person.run())
      },
      repair: () => hooks.answer('well'),
    },
    {
      what: 'a model that answers 429',
      alerts: [['ModelThrottlesUs', { gen_ai_request_model: 'fixture-model' }]],
      async provoke(signal) {
        model.behaviour = 'error_429'
        await over(signal, 2, () => person.run())
      },
      repair: () => {
        model.behaviour = 'ok'
      },
    },
    {
      what: 'a model that cuts connections',
      alerts: [['ModelUnreachable']],
      async provoke(signal) {
        model.behaviour = 'reset'
        await over(signal, 2, () => person.run())
      },
      repair: () => {
        model.behaviour = 'no_usage'
      },
    },
    {
      what: 'runs that use the day’s tokens up',
      alerts: [
        ['QuotaRunsOutSoon', { quota: 'llm_tokens' }],
        ['QuotaNearlyExhausted', { quota: 'llm_tokens' }],
        ['QuotaExhausted', { quota: 'llm_tokens' }],
        ['ManyRequestsDenied', { limiter: 'llm' }],
      ],
      provoke: (signal) => over(signal, 3, () => other.run()),
    },
    {
      what: 'more runs than the relay takes in an hour',
      alerts: [['RequestBurst'], ['QuotaExhausted', { quota: 'runs' }], ['ManyRequestsDenied', { limiter: 'overall' }]],
      provoke: (signal) => over(signal, 20, () => other.malformed()),
    },
    {
      what: 'a tracing backend that answers 400',
      alerts: [['BackendRefusesSpans']],
      async provoke(signal) {
        backend.answer('with refusals')
        await over(signal, 1, () => person.malformed())
      },
    },
    {
      what: 'a tracing backend that is gone',
      alerts: [['BackendUnreachable']],
      async provoke(signal) {
        backend.close()
        await over(signal, 1, () => person.malformed())
      },
    },
    {
      what: 'a server that is killed',
      alerts: [['ServiceDown', { job: 'pass-ats-server' }], ['ServerUnreachable']],
      async provoke(signal) {
        await first.killServer()
        await over(signal, 2, () => person.malformed())
      },
    },
  ]

  return {
    targets,
    causes,
    startTraffic() {
      const stop = new AbortController()
      const going = Promise.all([
        over(stop.signal, 1, async () => {
          await person.run()
          await pass(1_500, undefined, { signal: stop.signal }).catch(() => {})
        }),
        over(stop.signal, 1, async () => {
          await person.compile(SOUND_LATEX)
          await pass(3_000, undefined, { signal: stop.signal }).catch(() => {})
        }),
      ])
      return async () => {
        stop.abort()
        await going
      }
    },
    /** The same faults, of checks only: broken LaTeX, crashes and damaged PDFs. */
    async breakForChecksOnly() {
      const stop = new AbortController()
      const end = setTimeout(() => stop.abort(), 25_000)
      await tectonic.does('crash')
      await Promise.all([
        over(stop.signal, 1, () => check.compile(BROKEN_LATEX)),
        over(stop.signal, 1, () => otherCheck.run()),
      ])
      clearTimeout(end)
      await tectonic.does('work')
    },
  }
}

const traceId = () => randomBytes(16).toString('hex')
const target = (job: string, url: string) => ({ job, address: new URL(url).host })

/** Does it again and again, so many at once, until the signal comes. What fails is what is wanted, or is seen elsewhere. */
async function over(signal: AbortSignal, atOnce: number, work: () => Promise<unknown>): Promise<void> {
  const one = async () => {
    while (!signal.aborted) await work().catch(() => pass(50))
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}

/** What the extension asks for, over HTTP. */
async function callerOf(stack: Stack, key?: string) {
  const init = { method: 'POST', ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }) }
  const { token } = await (await fetch(`${stack.relayUrl}/installs`, init)).json()
  const ask = (id: string, path: string, { headers, ...rest }: RequestInit = {}) =>
    fetch(stack.relayUrl + path, {
      ...rest,
      headers: { traceparent: `00-${id}-00f067aa0ba902b7-03`, authorization: `Bearer ${token}`, ...headers },
    })
  const post = (id: string, body: object) =>
    ask(id, '/generate', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'pass-ats-timings': 'extract=120, request=150' },
      body: JSON.stringify(body),
    }).then((answer) => answer.text())
  return {
    async run() {
      const id = traceId()
      await post(id, { profile, posting })
      const events = await (await ask(id, `/runs/${id}/events`)).text()
      if (!/"type":"done"/.test(events)) return
      await (await ask(id, `/runs/${id}/resume.pdf`, { headers: { 'pass-ats-timings': 'elapsed=2500' } })).bytes()
    },
    /** A request for a run that is refused for what it says: cheap, and counted by the relay all the same. */
    malformed: () => post(traceId(), { profile: 1 }),
    compile: (latex: string) =>
      ask(traceId(), '/compile', {
        method: 'POST',
        headers: { 'content-type': 'application/x-tex' },
        body: latex,
      }).then((answer) => answer.bytes()),
  }
}

/** An endpoint of somebody else's, that answers as it is told. */
async function startReceiver(closing: Closing) {
  let answering: Answering | 'with refusals' = 'well'
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      if (answering === 'never') return
      response.writeHead({ well: 200, 'with errors': 500, 'with refusals': 400 }[answering]).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  closing.push(close)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    answer(how: typeof answering) {
      answering = how
      if (how !== 'never') server.closeAllConnections()
    },
    close,
  }
}

/** A script in front of the real Tectonic that reads from a file what to do. */
async function obedientTectonic(closing: Closing) {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-tectonic-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  const { tectonic, loader, bwrap: _, ...rest } = await readToolchain()
  const real = loader ? [loader.ldso, '--library-path', loader.libraryPath, tectonic] : [tectonic]
  const mode = join(folder, 'mode')
  const script = join(folder, 'tectonic')
  await writeFile(
    script,
    `#!/bin/sh
read -r mode < '${mode}'
[ "$mode" = crash ] && kill -SEGV $$
${real.map((part) => `'${part}'`).join(' ')} "$@" || exit $?
if [ "$mode" = damage ]; then
  while [ "$#" -gt 0 ]; do [ "$1" = --outdir ] && out=$2; shift; done
  for pdf in "$out"/*.pdf; do echo 'not a PDF' > "$pdf"; done
fi
`,
  )
  await chmod(script, 0o755)
  const does = (what: 'work' | 'crash' | 'damage') => writeFile(mode, `${what}\n`)
  await does('work')
  const path = join(folder, 'toolchain.json')
  await writeFile(path, JSON.stringify({ ...rest, formats: join(folder, 'formats'), tectonic: script }))
  return { toolchainPath: path, does }
}
