import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from './access/quotas.ts'
import { readConfig } from './config.ts'

test('Without any variable the relay listens on the loopback address and forwards nothing', () => {
  expect(readConfig({})).toEqual({
    host: '127.0.0.1',
    port: 4318,
    hosts: [],
    connections: { requestMs: 60_000, max: 5_000, stopMs: 1_500 },
    metrics: { host: '127.0.0.1', port: 9464 },
    serverUrl: 'http://127.0.0.1:4320',
    serverKey: undefined,
    access: { secrets: [], serviceKeys: [], syntheticKeys: [], trustedProxies: [], limits: DEFAULT_LIMITS },
    secretPath: 'data/relay.secret',
    quotaRedisUrl: undefined,
    storePath: 'data/relay',
    support: {
      tokens: [],
      tokenPath: 'data/relay.support-token',
      oidc: undefined,
      auditPath: 'data/relay.audit.jsonl',
      links: [],
      runbooks: undefined,
    },
    terms: { retentionMs: 86_400_000, keptMs: 30 * 86_400_000, maxBytes: 5 * 1024 ** 3 },
    forward: undefined,
    engine: undefined,
    logLevel: 'info',
  })
})

const ENGINES = {
  TRACE_STORE: 'tempo',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
  TRACE_STORE_URL: 'http://short:3200/',
  TRACE_STORE_HEADERS: 'x-scope-orgid=a',
  TRACE_ARCHIVE_URL: 'http://long:3200',
  TRACE_ARCHIVE_OTLP_ENDPOINT: 'http://long:4318',
}

test('Traces are in engines when all is told that they need', () => {
  expect(readConfig(ENGINES).engine).toEqual({
    kind: 'tempo',
    store: { url: 'http://short:3200', headers: { 'x-scope-orgid': 'a' } },
    archive: { url: 'http://long:3200', headers: {} },
    archiveOtlp: 'http://long:4318/v1/traces',
  })
  const whole = { ...ENGINES, TRACE_ARCHIVE_OTLP_ENDPOINT: 'http://long:4318/v1/traces' }
  expect(readConfig(whole).engine?.archiveOtlp).toBe('http://long:4318/v1/traces')
  expect(readConfig({ ...ENGINES, TRACE_STORE: 'sqlite' }).engine).toBeUndefined()
})

test.each(['OTEL_EXPORTER_OTLP_ENDPOINT', 'TRACE_STORE_URL', 'TRACE_ARCHIVE_URL', 'TRACE_ARCHIVE_OTLP_ENDPOINT'])(
  'Without %s the relay does not start with engines',
  (name) => {
    expect(() => readConfig({ ...ENGINES, [name]: '' })).toThrow(name)
  },
)

test('An engine that nobody knows is refused', () => {
  expect(() => readConfig({ TRACE_STORE: 'zipkin' })).toThrow('TRACE_STORE must be one of sqlite, jaeger, tempo')
})

test.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, 'http://collector:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }, 'http://collector:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/v1/traces' }, 'https://collector/otlp/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/x' }, 'https://collector/x'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a/x', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://b' }, 'http://a/x'],
])('%j means that due spans go to %s', (env, url) => {
  expect(readConfig(env).forward).toEqual({
    url,
    headers: {},
    protocol: undefined,
    gzipped: true,
    timeoutMs: 10_000,
  })
})

test('How to forward is told by the names that every OTLP exporter has, and those for traces win', () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YTpi, x-tenant=a',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
    OTEL_EXPORTER_OTLP_TIMEOUT: '2500',
  }
  expect(readConfig(env).forward).toEqual({
    url: 'http://collector:4318/v1/traces',
    headers: { authorization: 'Basic YTpi', 'x-tenant': 'a' },
    protocol: 'json',
    gzipped: false,
    timeoutMs: 2_500,
  })
})

test.each([
  ['RELAY_PORT', '99999'],
  ['RELAY_PORT', '1.5'],
  ['RELAY_REQUEST_SECONDS', '0'],
  ['RELAY_STOP_SECONDS', '0'],
  ['RELAY_MAX_CONNECTIONS', '0'],
  ['RELAY_MAX_CONNECTIONS', '1.5'],
  ['RELAY_METRICS_PORT', '70000'],
  ['RELAY_METRICS_PORT', '9464.5'],
  ['SERVER_URL', 'localhost'],
  ['RELAY_RETENTION_HOURS', '0'],
  ['RELAY_KEPT_HOURS', '23'],
  ['RELAY_KEPT_HOURS', 'long'],
  ['RELAY_STORE_MAX_BYTES', '5GB'],
  ['RELAY_STORE_MAX_BYTES', '1000'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://x'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'collector:4318'],
  ['LOG_LEVEL', 'loud'],
  ['RELAY_HOSTS', 'https://relay.example.org'],
  ['RELAY_HOSTS', 'relay.example.org:4318'],
  ['RELAY_HOSTS', 'relay.example.org/x'],
  ['RELAY_TRUSTED_PROXIES', 'proxy.example.org'],
  ['RELAY_TRUSTED_PROXIES', '10.0.0.0/33'],
  ['RELAY_TRUSTED_PROXIES', '10.0.0.0/8/8'],
  ['RELAY_TRUSTED_PROXIES', '10.0.0.1/x'],
  ['RELAY_QUOTA_INSTALL', 'spans'],
  ['RELAY_QUOTA_INSTALL', 'spans=-1'],
  ['RELAY_QUOTA_ADDRESS', 'spans=1e3'],
  ['RELAY_QUOTA_OVERALL', 'resumes=10'],
  ['RELAY_QUOTA_OVERALL', 'runs=0'],
])('%s=%s is refused with a message that names the variable', (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(name)
})

test.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1', RELAY_PORT: '80' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://[::1]:4318', RELAY_HOST: '::' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', RELAY_HOST: '0.0.0.0' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://Relay.example.org', RELAY_PORT: '443', RELAY_HOSTS: 'relay.example.org' }],
])('$OTEL_EXPORTER_OTLP_ENDPOINT is the relay itself on $RELAY_HOST:$RELAY_PORT, and is refused', (env) => {
  expect(() => readConfig(env)).toThrow(/^OTEL_EXPORTER_OTLP_ENDPOINT must not be this relay itself/)
})

test.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4319' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://192.0.2.1:4318', RELAY_HOST: '192.0.2.2' }],
])('$OTEL_EXPORTER_OTLP_ENDPOINT is another than the relay', (env) => {
  expect(readConfig(env).forward?.url).toMatch(/^http/)
})

test('What is reported is never kept for less than the rest, whichever of the two is set', () => {
  expect(readConfig({ RELAY_KEPT_HOURS: '48' }).terms.keptMs).toBe(48 * 3_600_000)
  expect(readConfig({ RELAY_RETENTION_HOURS: '1000' }).terms.keptMs).toBe(1_000 * 3_600_000)
})

test('RELAY_HOSTS is a list of names, in the one way a URL spells them', () => {
  expect(readConfig({ RELAY_HOSTS: 'Relay.Example.org, 192.0.2.1,[2001:db8::1],' }).hosts).toEqual([
    'relay.example.org',
    '192.0.2.1',
    '[2001:db8::1]',
  ])
})

test.each([
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ['OTEL_EXPORTER_OTLP_TRACES_COMPRESSION', 'zstd'],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s'],
])('%s=%s is refused, but only when there is somewhere to forward to', (name, value) => {
  expect(() => readConfig({ [name]: value, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector' })).toThrow(name)
  expect(readConfig({ [name]: value }).forward).toBeUndefined()
})

test('A malformed header list is refused without quoting what may be a secret', () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x', OTEL_EXPORTER_OTLP_HEADERS: 'hunter2' }
  expect(() => readConfig(env)).toThrow(/^OTEL_EXPORTER_OTLP_HEADERS must be of the form name=value,name=value\.$/)
})

const SECRET = 'x'.repeat(32)

test('Secrets, keys, proxies and quotas are lists; of a quota what is not named stays as it was', () => {
  const { access, serverKey, secretPath } = readConfig({
    RELAY_STORE: '/var/lib/relay/store.sqlite',
    RELAY_SECRETS: `${SECRET}new, ${SECRET}old,`,
    RELAY_SERVICE_KEYS: `server:${SECRET}, collector:${SECRET}2`,
    RELAY_SYNTHETIC_KEYS: `e2e:${SECRET}3`,
    RELAY_TRUSTED_PROXIES: '10.0.0.0/8, ::1,2001:db8::/32',
    RELAY_QUOTA_INSTALL: 'runs=5, spans=7',
    SERVER_KEY: `${SECRET}new,${SECRET}old`,
  })
  expect(access).toEqual({
    secrets: [`${SECRET}new`, `${SECRET}old`],
    serviceKeys: [
      { name: 'server', key: SECRET },
      { name: 'collector', key: `${SECRET}2` },
    ],
    syntheticKeys: [{ name: 'e2e', key: `${SECRET}3` }],
    trustedProxies: ['10.0.0.0/8', '::1', '2001:db8::/32'],
    limits: { ...DEFAULT_LIMITS, install: { ...DEFAULT_LIMITS.install, runs: 5, spans: 7 } },
  })
  expect(serverKey).toBe(`${SECRET}new`)
  expect(secretPath).toBe('/var/lib/relay/relay.secret')
})

test.each([
  ['RELAY_SECRETS', 'hunter2'],
  ['RELAY_SECRETS', `${SECRET},hunter2`],
  ['SERVER_KEY', 'hunter2'],
  ['RELAY_SERVICE_KEYS', `hunter2${SECRET}`],
  ['RELAY_SERVICE_KEYS', 'server:hunter2'],
  ['RELAY_SERVICE_KEYS', `a b:hunter2${SECRET}`],
  ['RELAY_SYNTHETIC_KEYS', 'e2e:hunter2'],
])('%s is refused when it is malformed or too short, without quoting what may be a secret', (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^${name} must be (?!.*hunter2).*32 characters`))
})

test('Staff have names and long tokens, and no message quotes one', () => {
  const token = 'x'.repeat(32)
  const env = { RELAY_SUPPORT_TOKENS: `ada:${token}, grace-2:${token}y` }
  expect(readConfig(env).support.tokens).toEqual([
    { name: 'ada', token },
    { name: 'grace-2', token: `${token}y` },
  ])
  for (const wrong of ['ada', `ada:${'x'.repeat(31)}`, `:${token}`, token]) {
    expect(() => readConfig({ RELAY_SUPPORT_TOKENS: wrong })).toThrow(
      /^RELAY_SUPPORT_TOKENS must be of the form name:key/,
    )
    expect(() => readConfig({ RELAY_SUPPORT_TOKENS: wrong })).not.toThrow(/xxx/)
  }
})

test('Links to other places that show traces say where the ID goes', () => {
  const jaeger = 'https://jaeger.example/trace/{trace_id}'
  const tempo = 'http://tempo.example/explore?q={trace_id}'
  expect(readConfig({ RELAY_TRACE_LINKS: `Jaeger=${jaeger}, Our Tempo=${tempo}` }).support.links).toEqual([
    { name: 'Jaeger', url: jaeger },
    { name: 'Our Tempo', url: tempo },
  ])
  for (const wrong of ['Jaeger', 'Jaeger=https://jaeger.example/', 'X=javascript:alert({trace_id})', `=${jaeger}`]) {
    expect(() => readConfig({ RELAY_TRACE_LINKS: wrong })).toThrow('RELAY_TRACE_LINKS')
  }
  expect(readConfig({ RELAY_RUNBOOKS: 'https://git.example/alerts/' }).support.runbooks).toBe(
    'https://git.example/alerts',
  )
  expect(() => readConfig({ RELAY_RUNBOOKS: 'alerts' })).toThrow('RELAY_RUNBOOKS')
})

test('Quotas in Redis need to know where it is, and its password is not quoted', () => {
  const redis = { RELAY_QUOTA_STORE: 'redis', REDIS_URL: 'rediss://:secret@cache.example:6380/2' }
  expect(readConfig(redis).quotaRedisUrl).toBe(redis.REDIS_URL)
  expect(readConfig({ REDIS_URL: redis.REDIS_URL }).quotaRedisUrl).toBeUndefined()
  expect(() => readConfig({ RELAY_QUOTA_STORE: 'disk' })).toThrow('RELAY_QUOTA_STORE must be memory or redis')
  for (const REDIS_URL of ['', 'http://:secret@cache.example']) {
    expect(() => readConfig({ RELAY_QUOTA_STORE: 'redis', REDIS_URL })).toThrow(/^REDIS_URL must be (?!.*secret)/)
  }
})
