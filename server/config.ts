/** The server's settings: the environment, read once. */

import { isIP } from 'node:net'
import { z } from 'zod'
import type { LlmOptions } from './llm.ts'
import { mayReach } from './webhooks/address.ts'
import { keyIn } from './webhooks/signature.ts'

const milliseconds = (fallback: number) => z.coerce.number().int().min(100).max(600_000).default(fallback)
const blankAsUnset = (value: unknown) => (value === '' ? undefined : value)

/** Shorter than this is guessed. `openssl rand -hex 32` gives 64. */
const MIN_KEY_LENGTH = 32
const MISSING_KEY = `must be a secret of at least ${MIN_KEY_LENGTH} characters that the relay has, too`
const isKey = (key: string) => key.length >= MIN_KEY_LENGTH
const keysOf = (list: string) =>
  list
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean)

const REDIS = 'must be redis://host:port, or rediss:// with TLS'
const SECRET = 'must be `whsec_` and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)'

const Environment = z.object({
  SERVER_HOST: z.string().default('127.0.0.1'),
  /** 0 lets the operating system pick. */
  SERVER_PORT: z.coerce.number().int().min(0).max(65_535).default(4320),
  /** Where the metrics are served; port 0 lets the operating system pick. */
  SERVER_METRICS_HOST: z.string().default('127.0.0.1'),
  SERVER_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).default(9465),
  /** What the relay shows, `new,old`: the relay sends the first of its own, and both are taken here. */
  SERVER_KEY: z
    .string(MISSING_KEY)
    .transform(keysOf)
    .refine((keys) => keys.length > 0 && keys.every(isKey), MISSING_KEY),
  /** Names this server is reached by besides loopback, with commas between. */
  SERVER_HOSTS: z.string().default(''),
  DIST_DIR: z.string().default('dist'),
  /** Where runs, PDFs, webhooks and quotas are; of the newest runs so many are remembered in Redis. */
  RUN_STORE: z.enum(['memory+sqlite', 'redis']).default('memory+sqlite'),
  RUN_STORE_MAX_RUNS: z.coerce.number().int().min(1_000).max(10_000_000).default(20_000),
  REDIS_URL: z.preprocess(blankAsUnset, z.url({ protocol: /^rediss?$/, error: REDIS }).optional()),
  /** JSON file describing Tectonic, its bundle and the sandbox, as set-up writes it. */
  TOOLCHAIN: z.preprocess(blankAsUnset, z.string().optional()),
  /** A template of one's own, in place of `server/resume.tex`. */
  RESUME_TEMPLATE: z.preprocess(blankAsUnset, z.string().optional()),
  COMPILE_TIMEOUT_MS: milliseconds(30_000),
  COMPILE_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(2),
  /** Base URL of any OpenAI-compatible API. Without it bullets are chosen by rules, on this machine. */
  LLM_BASE_URL: z.preprocess(blankAsUnset, z.url().optional()),
  LLM_API_KEY: z.preprocess(blankAsUnset, z.string().optional()),
  LLM_MODEL: z.string().default('gpt-5-mini'),
  /** Longest time for all that is asked for one run, from the first request to the last byte. */
  LLM_TIMEOUT_MS: milliseconds(120_000),
  /** Longest silence within an answer, and before it: models that reason are silent for most of a minute. */
  LLM_IDLE_TIMEOUT_MS: milliseconds(60_000),
  /** Runs that ask the model at once; the others wait their turn. */
  LLM_CONCURRENCY: z.coerce.number().int().min(1).max(1_000).default(8),
  /** Tokens a day (UTC), prompts and answers, for one install and for all together. */
  LLM_DAILY_TOKENS_INSTALL: z.coerce.number().int().min(0).default(200_000),
  LLM_DAILY_TOKENS_OVERALL: z.coerce.number().int().min(0).default(10_000_000),
  /** Who is told how runs end, `url,url`; and the secrets that sign it, `new,old`: both sign. */
  WEBHOOK_URLS: z.string().default('').transform(keysOf),
  WEBHOOK_SECRETS: z
    .string()
    .default('')
    .transform(keysOf)
    .refine((secrets) => secrets.every(keyIn), SECRET),
  WEBHOOK_ALLOW_LOOPBACK: z.enum(['', '0', '1']).default(''),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.preprocess(blankAsUnset, z.url().default('http://127.0.0.1:4318')),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export interface Config {
  host: string
  port: number
  hosts: string[]
  metrics: { host: string; port: number }
  /** What the relay may show; at least one. */
  keys: string[]
  distDir: string
  /** Undefined: in this server's memory, and in a file of DIST_DIR. */
  redis: { url: string; maxRuns: number } | undefined
  toolchainPath: string | undefined
  templatePath: string | undefined
  compile: { timeoutMs: number; concurrency: number }
  llm: Omit<LlmOptions, 'queueLimit'> | undefined
  llmQuota: { installTokens: number; overallTokens: number }
  webhooks: { urls: string[]; keys: Buffer[]; allowLoopback: boolean }
  otlpEndpoint: string
  logLevel: string
}

/** Reads the settings. Throws an Error naming every variable that is wrong. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const parsed = Environment.superRefine(checkRedis).superRefine(checkWebhooks).safeParse(env)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new Error(`The server's configuration is wrong.\n  ${problems.join('\n  ')}`)
  }
  const e = parsed.data
  return {
    host: e.SERVER_HOST,
    port: e.SERVER_PORT,
    hosts: e.SERVER_HOSTS.split(',')
      .map((name) => name.trim())
      .filter(Boolean),
    metrics: { host: e.SERVER_METRICS_HOST, port: e.SERVER_METRICS_PORT },
    keys: e.SERVER_KEY,
    distDir: e.DIST_DIR,
    redis: e.RUN_STORE === 'redis' && e.REDIS_URL ? { url: e.REDIS_URL, maxRuns: e.RUN_STORE_MAX_RUNS } : undefined,
    toolchainPath: e.TOOLCHAIN,
    templatePath: e.RESUME_TEMPLATE,
    compile: { timeoutMs: e.COMPILE_TIMEOUT_MS, concurrency: e.COMPILE_CONCURRENCY },
    llm: e.LLM_BASE_URL
      ? {
          baseUrl: e.LLM_BASE_URL,
          apiKey: e.LLM_API_KEY ?? '',
          model: e.LLM_MODEL,
          timeoutMs: e.LLM_TIMEOUT_MS,
          idleTimeoutMs: e.LLM_IDLE_TIMEOUT_MS,
          concurrency: e.LLM_CONCURRENCY,
        }
      : undefined,
    llmQuota: { installTokens: e.LLM_DAILY_TOKENS_INSTALL, overallTokens: e.LLM_DAILY_TOKENS_OVERALL },
    webhooks: {
      urls: [...new Set(e.WEBHOOK_URLS.map((url) => new URL(url).href))],
      keys: e.WEBHOOK_SECRETS.flatMap((secret) => keyIn(secret) ?? []),
      allowLoopback: e.WEBHOOK_ALLOW_LOOPBACK === '1',
    },
    otlpEndpoint: e.OTEL_EXPORTER_OTLP_ENDPOINT,
    logLevel: e.LOG_LEVEL,
  }
}

function checkRedis(e: z.output<typeof Environment>, context: z.RefinementCtx): void {
  if (e.RUN_STORE !== 'redis' || e.REDIS_URL) return
  context.addIssue({ code: 'custom', path: ['REDIS_URL'], message: `${REDIS}, since RUN_STORE is redis` })
}

/** What can be seen of a webhook's address without looking its name up; the rest is seen at every attempt. */
function checkWebhooks(e: z.output<typeof Environment>, context: z.RefinementCtx): void {
  const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const allowLoopback = e.WEBHOOK_ALLOW_LOOPBACK === '1'
  for (const each of e.WEBHOOK_URLS) {
    const url = URL.parse(each)
    const name = url?.hostname.replace(/^\[|\]$/g, '') ?? ''
    if (!url || url.username || url.password) refuse('WEBHOOK_URLS', 'must be URLs, without a name or password')
    else if (isIP(name) && !mayReach(name, allowLoopback)) refuse('WEBHOOK_URLS', 'must be addresses of the Internet')
    else if (url.protocol !== 'https:' && !(allowLoopback && url.protocol === 'http:')) {
      refuse('WEBHOOK_URLS', 'must be https')
    }
  }
  if (e.WEBHOOK_URLS.length > 0 && e.WEBHOOK_SECRETS.length === 0) refuse('WEBHOOK_SECRETS', SECRET)
}

/**
 * Lets only these auto-instrumentations start. A list of what is off would let in whatever the next version adds, and
 * the package has no other switch for a list of what is on; so this is the one place that writes the environment.
 */
export function allowInstrumentations(...names: string[]): void {
  process.env.OTEL_NODE_ENABLED_INSTRUMENTATIONS = names.join(',')
}
