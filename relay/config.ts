/** The relay's settings. The only file beside main.ts that reads the environment, and it does so once. */

/** Where stored requests go on to. */
export interface ForwardConfig {
  /** Complete URL of the OTLP/HTTP traces endpoint. */
  url: string
  headers: Record<string, string>
}

export interface Config {
  host: string
  /** 0 lets the operating system pick. */
  port: number
  /** RELAY_HOSTS: public host names this relay is reached by, besides the loopback names; lower case, no ports. */
  hosts: string[]
  /** Without a trailing slash. */
  serverUrl: string
  storePath: string
  retentionMs: number
  /** How long the traces that somebody has reported stay; never shorter than `retentionMs`. */
  keptMs: number
  forward: ForwardConfig | undefined
  logLevel: (typeof LOG_LEVELS)[number]
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const HOUR_MS = 3_600_000
/** What RELAY_RETENTION_HOURS and RELAY_KEPT_HOURS may be at most. */
const MAX_HOURS = 24 * 366

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
  const port = number('RELAY_PORT', 4318, 0, 65_535)
  if (!Number.isInteger(port)) throw new Error(`RELAY_PORT must be an integer, not "${env.RELAY_PORT}".`)

  const host = text('RELAY_HOST', '127.0.0.1')
  const hosts = readHosts(text('RELAY_HOSTS', ''))
  const forward = env.OTLP_FORWARD_ENDPOINT?.trim() ? tracesUrl(url('OTLP_FORWARD_ENDPOINT', '')) : undefined
  if (forward && isSelf(new URL(forward), [host, ...hosts], port)) {
    throw new Error(`OTLP_FORWARD_ENDPOINT must not be this relay itself, as "${env.OTLP_FORWARD_ENDPOINT}" is.`)
  }

  const retentionHours = number('RELAY_RETENTION_HOURS', 24, 0.01, MAX_HOURS)

  return {
    host,
    port,
    hosts,
    serverUrl: url('SERVER_URL', 'http://127.0.0.1:4320'),
    storePath: text('RELAY_STORE', 'data/relay.sqlite'),
    retentionMs: retentionHours * HOUR_MS,
    keptMs: number('RELAY_KEPT_HOURS', Math.max(24 * 30, retentionHours), retentionHours, MAX_HOURS) * HOUR_MS,
    forward: forward ? { url: forward, headers: readHeaders(text('OTLP_FORWARD_HEADERS', '')) } : undefined,
    logLevel,
  }
}

/** An OTLP base URL may be given with or without its signal path. */
function tracesUrl(base: string): string {
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`
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

/** `k=v,k=v` with percent-encoded values, as OTEL_EXPORTER_OTLP_HEADERS has it. Messages never quote a value. */
function readHeaders(list: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const pair of list.split(',').filter((part) => part.trim() !== '')) {
    const [name = '', ...value] = pair.split('=')
    if (value.length === 0 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name.trim())) {
      throw new Error('OTLP_FORWARD_HEADERS must be of the form name=value,name=value.')
    }
    try {
      headers[name.trim()] = decodeURIComponent(value.join('=').trim())
    } catch {
      throw new Error(`OTLP_FORWARD_HEADERS: the value of ${name.trim()} is not percent-encoded.`)
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
