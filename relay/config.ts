/** The relay's settings. The only file beside main.ts that reads the environment, and it does so once. */
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import type { AccessConfig } from './access/access.ts'
import { DEFAULT_LIMITS, LEVELS, type Level, type Limits, UNITS } from './access/quotas.ts'
import type { ServiceKey } from './access/service-keys.ts'
import type { ConnectionLimits } from './connections.ts'
import type { OidcConfig } from './console/oidc.ts'
import type { StaffToken } from './console/staff.ts'
import type { TraceLink } from './console/trace.ts'
import { type EngineSettings, readEngine } from './engine/settings.ts'
import { readOidc } from './oidc-config.ts'
import type { Encoding } from './otlp.ts'

/** Where spans that are due go on to. */
export interface ForwardConfig {
  /** Complete URL of the OTLP/HTTP traces endpoint. */
  url: string
  headers: Record<string, string>
  /** Undefined: each request as it was received. */
  protocol: Encoding | undefined
  gzipped: boolean
  /** How long an answer may take. */
  timeoutMs: number
}

export interface Config {
  host: string
  /** 0 lets the operating system pick. */
  port: number
  /** RELAY_HOSTS: public host names this relay is reached by, besides the loopback names; lower case, no ports. */
  hosts: string[]
  connections: ConnectionLimits
  /** Where the metrics are served; port 0 lets the operating system pick. */
  metrics: { host: string; port: number }
  /** Without a trailing slash. */
  serverUrl: string
  /** SERVER_KEY: the first of what the server takes. Without it the server refuses everything. */
  serverKey: string | undefined
  /** Without secrets, one is to be kept at `secretPath`. */
  access: AccessConfig
  secretPath: string
  /** Where quotas are counted; undefined: in this relay's memory. */
  quotaRedisUrl: string | undefined
  /** The folder that holds the store. */
  storePath: string
  /** What is stored, and how long it stays: `keptMs`, for what failed or was reported, is never the shorter one. */
  terms: { retentionMs: number; keptMs: number; maxBytes: number }
  forward: ForwardConfig | undefined
  /** Undefined when traces are in the relay's own files. Otherwise `forward` is where everything goes. */
  engine: EngineSettings | undefined
  /** Who may look at the console; without tokens, one is to be kept at `tokenPath`. */
  support: {
    tokens: StaffToken[]
    tokenPath: string
    /** Where staff sign in with an account, besides tokens. */
    oidc: OidcConfig | undefined
    auditPath: string
    links: TraceLink[]
    /** Where `ops/alerts` can be read, without a trailing slash. */
    runbooks: string | undefined
  }
  logLevel: (typeof LOG_LEVELS)[number]
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const HOUR_MS = 3_600_000
/** Shorter than this is guessed. `openssl rand -hex 32` gives 64. */
export const MIN_SECRET_LENGTH = 32
/** What RELAY_RETENTION_HOURS and RELAY_KEPT_HOURS may be at most. */
const MAX_HOURS = 24 * 366
const GIB = 1024 ** 3
/** RELAY_STORE_MAX_BYTES is at least two of the largest requests with room for what belongs to them. */
const MIN_STORE_BYTES = 64 * 1024 ** 2
const PROTOCOLS: Record<string, Encoding> = { 'http/protobuf': 'protobuf', 'http/json': 'json' }

/** Reads the settings. Throws an Error that names the variable, what it must be and what it was. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const text = (name: string, fallback: string) => env[name]?.trim() || fallback
  const number = (name: string, fallback: number, min: number, max: number) => {
    const value = Number(text(name, String(fallback)))
    if (Number.isFinite(value) && value >= min && value <= max) return value
    throw new Error(`${name} must be a number from ${min} to ${max}, not "${env[name]}".`)
  }
  const url = (name: string, fallback: string) => {
    const value = text(name, fallback)
    if (/^https?:$/.test(URL.parse(value)?.protocol ?? '')) return value.replace(/\/+$/, '')
    throw new Error(`${name} must be an http or https URL, not "${value}".`)
  }
  const logLevel = LOG_LEVELS.find((level) => level === text('LOG_LEVEL', 'info'))
  if (!logLevel) throw new Error(`LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}, not "${env.LOG_LEVEL}".`)
  const integer = (name: string, fallback: number, min: number, max: number) => {
    const value = number(name, fallback, min, max)
    if (Number.isInteger(value)) return value
    throw new Error(`${name} must be an integer, not "${env[name]}".`)
  }
  const port = integer('RELAY_PORT', 4318, 0, 65_535)
  const maxConnections = integer('RELAY_MAX_CONNECTIONS', 5_000, 1, 1_000_000)

  const host = text('RELAY_HOST', '127.0.0.1')
  const hosts = readHosts(text('RELAY_HOSTS', ''))
  const limits = Object.fromEntries(
    LEVELS.map((level) => [level, readLimits(`RELAY_QUOTA_${level.toUpperCase()}`, level, env)]),
  ) as Limits
  const storePath = text('RELAY_STORE', 'data/relay')
  const forward = readForward(env, [host, ...hosts], port)
  const retentionHours = number('RELAY_RETENTION_HOURS', 24, 0.01, MAX_HOURS)

  return {
    host,
    port,
    hosts,
    connections: {
      requestMs: number('RELAY_REQUEST_SECONDS', 60, 0.1, 3_600) * 1_000,
      max: maxConnections,
      stopMs: number('RELAY_STOP_SECONDS', 1.5, 0.1, 3_600) * 1_000,
    },
    metrics: { host: text('RELAY_METRICS_HOST', '127.0.0.1'), port: integer('RELAY_METRICS_PORT', 9464, 0, 65_535) },
    serverUrl: url('SERVER_URL', 'http://127.0.0.1:4320'),
    serverKey: readSecrets('SERVER_KEY', text('SERVER_KEY', ''))[0],
    access: {
      secrets: readSecrets('RELAY_SECRETS', text('RELAY_SECRETS', '')),
      serviceKeys: readNamed('RELAY_SERVICE_KEYS', text('RELAY_SERVICE_KEYS', '')),
      syntheticKeys: readNamed('RELAY_SYNTHETIC_KEYS', text('RELAY_SYNTHETIC_KEYS', '')),
      trustedProxies: readNetworks(text('RELAY_TRUSTED_PROXIES', '')),
      limits,
    },
    quotaRedisUrl: readQuotaStore(text('RELAY_QUOTA_STORE', 'memory'), text('REDIS_URL', '')),
    secretPath: join(dirname(storePath), 'relay.secret'),
    storePath,
    terms: {
      retentionMs: retentionHours * HOUR_MS,
      keptMs: number('RELAY_KEPT_HOURS', Math.max(24 * 30, retentionHours), retentionHours, MAX_HOURS) * HOUR_MS,
      maxBytes: number('RELAY_STORE_MAX_BYTES', 5 * GIB, MIN_STORE_BYTES, Number.MAX_SAFE_INTEGER),
    },
    forward,
    engine: readEngine({ text, url, headers: readHeaders, forwards: forward !== undefined }),
    support: {
      tokens: readNamed('RELAY_SUPPORT_TOKENS', text('RELAY_SUPPORT_TOKENS', '')).map(({ name, key }) => ({
        name,
        token: key,
      })),
      tokenPath: join(dirname(storePath), 'relay.support-token'),
      oidc: readOidc(text),
      auditPath: join(dirname(storePath), 'relay.audit.jsonl'),
      links: readLinks(text('RELAY_TRACE_LINKS', '')),
      runbooks: text('RELAY_RUNBOOKS', '') === '' ? undefined : url('RELAY_RUNBOOKS', ''),
    },
    logLevel,
  }
}

/**
 * Where to forward, by the names that every OTLP exporter has for it; those with TRACES win. Undefined without an
 * endpoint. The relay's own spans take another way, so the names mean nothing else here.
 */
function readForward(env: NodeJS.ProcessEnv, names: string[], port: number): ForwardConfig | undefined {
  /** The first of two variables that is set. */
  const either = (name: string) =>
    [`OTEL_EXPORTER_OTLP_TRACES_${name}`, `OTEL_EXPORTER_OTLP_${name}`]
      .map((variable) => ({ variable, value: env[variable]?.trim() ?? '' }))
      .find(({ value }) => value !== '')
  const endpoint = either('ENDPOINT')
  if (!endpoint) return undefined
  const { variable, value } = endpoint
  const parsed = URL.parse(value)
  if (!parsed || !/^https?:$/.test(parsed.protocol)) {
    throw new Error(`${variable} must be an http or https URL, not "${value}".`)
  }
  if (isSelf(parsed, names, port)) throw new Error(`${variable} must not be this relay itself, as "${value}" is.`)
  // Of the two only the general one is a base URL, to which the signal's path is added.
  const isBase = variable === 'OTEL_EXPORTER_OTLP_ENDPOINT' && !/\/v1\/traces\/?$/.test(parsed.pathname)

  const protocol = either('PROTOCOL')
  if (protocol && !PROTOCOLS[protocol.value]) {
    throw new Error(`${protocol.variable} must be http/protobuf or http/json, not "${protocol.value}".`)
  }
  const compression = either('COMPRESSION')
  if (compression && !['gzip', 'none'].includes(compression.value)) {
    throw new Error(`${compression.variable} must be gzip or none, not "${compression.value}".`)
  }
  const timeout = either('TIMEOUT')
  const timeoutMs = Number(timeout?.value ?? 10_000)
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > HOUR_MS) {
    throw new Error(`${timeout?.variable} must be milliseconds from 1 to ${HOUR_MS}, not "${timeout?.value}".`)
  }
  const headers = either('HEADERS')
  return {
    url: isBase ? `${value.replace(/\/+$/, '')}/v1/traces` : value,
    headers: headers ? readHeaders(headers.variable, headers.value) : {},
    protocol: protocol && PROTOCOLS[protocol.value],
    gzipped: compression?.value !== 'none',
    timeoutMs,
  }
}

/** Only what is obvious; other names of this relay are found out when a request comes back. */
function isSelf({ protocol, hostname, port }: URL, names: string[], ownPort: number): boolean {
  if (Number(port || (protocol === 'https:' ? 443 : 80)) !== ownPort) return false
  const own = new Set(names.flatMap(addressesOf))
  return addressesOf(hostname.replace(/^\[|\]$/g, '')).some((address) => own.has(address))
}

/** Names of this machine as the loopback addresses they mean; every other name as it is. */
function addressesOf(name: string): string[] {
  return ['localhost', '0.0.0.0', '::'].includes(name) ? ['127.0.0.1', '::1'] : [name]
}

function readQuotaStore(store: string, redisUrl: string): string | undefined {
  if (store === 'memory') return undefined
  if (store !== 'redis') throw new Error(`RELAY_QUOTA_STORE must be memory or redis, not "${store}".`)
  if (/^rediss?:$/.test(URL.parse(redisUrl)?.protocol ?? '')) return redisUrl
  // Not quoted: there may be a password in it.
  throw new Error('REDIS_URL must be redis://host:port, or rediss:// with TLS, since RELAY_QUOTA_STORE is redis.')
}

/** `a,b`: names or addresses without ports, as a URL spells them. */
function readHosts(list: string): string[] {
  return list.split(',').flatMap((part) => {
    const name = part.trim()
    if (name === '') return []
    const parsed = URL.parse(`http://${name}`)
    if (parsed?.host === name.toLowerCase() && parsed.port === '') return [parsed.hostname]
    throw new Error(`RELAY_HOSTS must be host names without ports, separated by commas, not "${name}".`)
  })
}

function listed(list: string): string[] {
  return list
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
}

/** `new,old`. Messages never quote a secret. */
function readSecrets(name: string, list: string): string[] {
  const secrets = listed(list)
  if (secrets.every(isLongEnough)) return secrets
  throw new Error(`${name} must be secrets of at least ${MIN_SECRET_LENGTH} characters, separated by commas.`)
}

/** `name:key,name:key`. Messages never quote a key. */
function readNamed(variable: string, list: string): ServiceKey[] {
  return listed(list).map((pair) => {
    const [, name, key] = /^([\w-]+):([^\s:]+)$/.exec(pair) ?? []
    if (name !== undefined && key !== undefined && isLongEnough(key)) return { name, key }
    throw new Error(
      `${variable} must be of the form name:key,name:key, with keys of at least ${MIN_SECRET_LENGTH} characters.`,
    )
  })
}

/** `Jaeger=https://jaeger.example/trace/{trace_id},…`; commas within are percent-encoded. */
function readLinks(list: string): TraceLink[] {
  return listed(list).map((pair) => {
    const [, name, url] = /^([\w .-]{1,40})=(https?:\/\/\S+)$/.exec(pair) ?? []
    if (name && url?.includes('{trace_id}') && URL.canParse(url)) return { name, url }
    throw new Error(
      `RELAY_TRACE_LINKS must be of the form name=https://…{trace_id}…, separated by commas, not "${pair}".`,
    )
  })
}

function isLongEnough(secret: string): boolean {
  return secret.length >= MIN_SECRET_LENGTH
}

/** Addresses, and networks as `10.0.0.0/8`. */
function readNetworks(list: string): string[] {
  for (const network of listed(list)) {
    const [address = '', bits = '0', ...rest] = network.split('/')
    const version = isIP(address)
    const valid = version > 0 && rest.length === 0 && /^\d+$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
    if (!valid) throw new Error(`RELAY_TRUSTED_PROXIES must be addresses or networks (10.0.0.0/8), not "${network}".`)
  }
  return listed(list)
}

/** `unit=number,unit=number`; what is not named stays as it is by default. */
function readLimits(name: string, level: Level, env: NodeJS.ProcessEnv): Limits[Level] {
  const limits = { ...DEFAULT_LIMITS[level] }
  for (const pair of listed(env[name] ?? '')) {
    const [word = '', value = ''] = pair.split('=').map((part) => part.trim())
    const unit = UNITS.find((unit) => unit === word)
    if (!unit || !/^\d{1,15}$/.test(value) || Number(value) < 1) {
      throw new Error(
        `${name} must be of the form ${UNITS[0]}=1000,${UNITS[1]}=1000 (of ${UNITS.join(', ')}), not "${pair}".`,
      )
    }
    limits[unit] = Number(value)
  }
  return limits
}

/** `k=v,k=v` with percent-encoded values. Messages never quote a value. */
function readHeaders(variable: string, list: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const pair of list.split(',').filter((part) => part.trim() !== '')) {
    const [name = '', ...value] = pair.split('=')
    if (value.length === 0 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name.trim())) {
      throw new Error(`${variable} must be of the form name=value,name=value.`)
    }
    try {
      headers[name.trim()] = decodeURIComponent(value.join('=').trim())
    } catch {
      throw new Error(`${variable}: the value of ${name.trim()} is not percent-encoded.`)
    }
  }
  return headers
}

/**
 * Lets only these auto-instrumentations start. A list of what is off would let in whatever the next version adds, and
 * the package has no other switch for a list of what is on; so this is the one place that writes the environment.
 */
export function allowInstrumentations(...names: string[]): void {
  process.env.OTEL_NODE_ENABLED_INSTRUMENTATIONS = names.join(',')
}
