/**
 * Real stacks under traffic, and one thing after another that is broken in them on purpose, with the alerts that are to
 * tell of it. The second has a Tectonic that does as it is told, as that of tectonic-causes.ts; LaTeX from outside goes to
 * the first, which has a sandbox. What can happen to a relay's store happens in store-causes.ts, and to the servers'
 * Redis in redis-causes.ts.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import { startOpenAiEndpoint } from '../../../fixtures/llm/openai-endpoint.ts'
import { toolchainPath } from '../../setup/toolchain.ts'
import { startTemporaryStack } from '../../stack.ts'
import { accessCauses } from './access-causes.ts'
import { callerOf, over } from './caller.ts'
import { type Cause, target, until } from './cause.ts'
import { findPlaces } from './checks.ts'
import { startReceiver } from './receiver.ts'
import { redisCauses } from './redis-causes.ts'
import { storeCauses } from './store-causes.ts'
import { obedientTectonic } from './tectonic.ts'
import { tectonicCauses } from './tectonic-causes.ts'

const SECRET = randomBytes(32).toString('hex')
const BROKEN_LATEX = String.raw`\documentclass{article}\begin{document}\nonsense\end{document}`
const ENDLESS_LATEX = String.raw`\documentclass{article}\begin{document}\loop\iftrue\repeat\end{document}`
const SOUND_LATEX = String.raw`\documentclass{article}\begin{document}Sound.\end{document}`

/** A day of the rules, and what a rule's window adds to it: that long ago all was well. */
const DAY_MS = 24 * 60_000
const HOUR_MS = 60_000
/** How long a webhook waits before somebody is told, seconds that stay seconds. */
const WAITS_MS = 300_000
/** Of those that break things; more than two must find the same to be believed. */
const PLACES = 4
const CHECKED_EVERY_SECONDS = 30

/** Everything that is to be closed goes into `closing`, to be closed backwards. */
export async function setUpCauses(closing: (() => unknown)[]) {
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
      LLM_DAILY_TOKENS_INSTALL: '200000',
      LLM_DAILY_TOKENS_OVERALL: '200000',
      RELAY_QUOTA_OVERALL: 'runs=600',
    },
  })
  closing.push(() => second.stop())
  const store = await storeCauses(closing)
  const runs = await redisCauses(closing)
  const places = await findPlaces(PLACES)
  const obedient = await tectonicCauses(closing, places)
  const watch = await findPlaces(1)
  const beganAt = performance.now()

  const person = await callerOf(first)
  const check = await callerOf(first, first.syntheticKey)
  const other = await callerOf(second)
  const otherCheck = await callerOf(second, second.syntheticKey)
  const targets = [
    ...[target('pass-ats-relay', first.metricsUrls.relay), target('pass-ats-server', first.metricsUrls.server)],
    ...[target('pass-ats-relay-2', second.metricsUrls.relay), target('pass-ats-server-2', second.metricsUrls.server)],
    ...[...store.targets, ...runs.targets, ...obedient.targets, ...watch.targets, ...places.targets],
  ]
  const causes: Cause[] = [
    ...(await accessCauses(first, SECRET)),
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
      what: 'a receiver of webhooks that takes none for five minutes',
      alerts: [['WebhooksWait']],
      patienceMs: WAITS_MS + 60_000,
      async provoke(signal) {
        // Those that have failed twice are tried again after five minutes: now, or it is told of in some other cause.
        hooks.answer('with errors')
        await person.run()
        await until(signal)
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
        model.behaviour = 'ok'
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
      async provoke(signal) {
        // Who does not tell what was used has used all that was set aside.
        model.behaviour = 'no_usage'
        await over(signal, 8, () => other.run())
      },
      repair: () => {
        model.behaviour = 'ok'
      },
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
    ...store.causes,
    ...runs.causes,
    ...obedient.causes,
    {
      what: 'a receiver of webhooks that answers 410',
      alerts: [['WebhooksGivenUp']],
      async provoke(signal) {
        hooks.answer('that it is gone')
        await over(signal, 1, () => person.run())
      },
    },
    {
      what: 'PDFs of 1.4 MB, a day after those of the usual size',
      alerts: [['PdfSizeShifts']],
      patienceMs: DAY_MS + 2 * HOUR_MS,
      async provoke(signal) {
        // Not the others, which are as they were.
        await stopTraffic()
        await pass(Math.max(0, beganAt + DAY_MS + HOUR_MS / 2 - performance.now()), undefined, { signal }).catch(
          () => {},
        )
        await obedient.makeLarge(signal)
      },
      repair: obedient.works,
    },
    {
      what: 'a server that is killed',
      alerts: [['ServiceDown', { job: 'pass-ats-server' }], ['ServerUnreachable']],
      async provoke(signal) {
        // Of a compilation that is killed with it, the folder would be left for an hour.
        await stopTraffic()
        await first.killServer()
        await over(signal, 2, () => person.malformed())
      },
    },
  ]

  let stopTraffic = async () => {}

  return {
    targets,
    causes,
    /** Of the first stack, whose runs work. */
    relayUrl: first.relayUrl,
    /** Runs and compilations of people, and checks as they are made. */
    startTraffic() {
      const stop = new AbortController()
      const rest = (ms: number) => pass(ms, undefined, { signal: stop.signal }).catch(() => {})
      const going = Promise.all([
        over(stop.signal, 1, async () => {
          await person.run()
          await rest(1_500)
        }),
        over(stop.signal, 1, async () => {
          await person.compile(SOUND_LATEX)
          await rest(3_000)
        }),
        watch.check(first, CHECKED_EVERY_SECONDS, stop.signal),
      ])
      stopTraffic = async () => {
        stop.abort()
        await going
      }
      closing.push(() => stopTraffic())
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
