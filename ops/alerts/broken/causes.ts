/**
 * Two real stacks under traffic, and one thing after another that is broken in them on purpose, with the alerts that are to
 * tell of it. The second has a Tectonic that does as it is told; LaTeX from outside goes to the first, which has a sandbox.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import { startOpenAiEndpoint } from '../../../fixtures/llm/openai-endpoint.ts'
import { createTokens } from '../../../relay/access/tokens.ts'
import { toolchainPath } from '../../setup/toolchain.ts'
import { startTemporaryStack } from '../../stack.ts'
import { callerOf, over, traceId } from './caller.ts'
import { startReceiver } from './receiver.ts'
import { obedientTectonic } from './tectonic.ts'

const SECRET = randomBytes(32).toString('hex')
const BROKEN_LATEX = String.raw`\documentclass{article}\begin{document}\nonsense\end{document}`
const ENDLESS_LATEX = String.raw`\documentclass{article}\begin{document}\loop\iftrue\repeat\end{document}`
const SOUND_LATEX = String.raw`\documentclass{article}\begin{document}Sound.\end{document}`

/** One thing that is broken on purpose, and what is to be told of it. */
export interface Cause {
  what: string
  alerts: [alert: string, labels?: Record<string, string>][]
  /** Goes on until the signal comes. */
  provoke: (signal: AbortSignal) => Promise<unknown>
  /** Makes it whole again. */
  repair?: () => unknown
}

const target = (job: string, url: string) => ({ job, address: new URL(url).host })

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
      alerts: [['TokensExpire'], ['MostRequestsRefused'], ['AuthBurst']],
      provoke: bad({ authorization: `Bearer ${expired}` }),
    },
    {
      what: 'tokens that the relay has not signed',
      alerts: [['TokensForged', { reason: 'token_forged' }]],
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
    /** Of the first stack, whose runs work. */
    relayUrl: first.relayUrl,
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
