import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

test('Without any variable the relay listens on the loopback address and forwards nothing', () => {
  expect(readConfig({})).toEqual({
    host: '127.0.0.1',
    port: 4318,
    hosts: [],
    serverUrl: 'http://127.0.0.1:4320',
    storePath: 'data/relay.sqlite',
    retentionMs: 86_400_000,
    keptMs: 30 * 86_400_000,
    forward: undefined,
    logLevel: 'info',
  })
})

test.each([
  ['http://collector:4318', 'http://collector:4318/v1/traces'],
  ['http://collector:4318/', 'http://collector:4318/v1/traces'],
  ['https://collector/otlp/v1/traces', 'https://collector/otlp/v1/traces'],
])('The forward endpoint %s means %s', (endpoint, url) => {
  const headers = { authorization: 'Basic YTpi', 'x-tenant': 'a' }
  const env = { OTLP_FORWARD_ENDPOINT: endpoint, OTLP_FORWARD_HEADERS: 'authorization=Basic%20YTpi, x-tenant=a' }
  expect(readConfig(env).forward).toEqual({ url, headers })
})

test.each([
  ['RELAY_PORT', '99999'],
  ['RELAY_PORT', '1.5'],
  ['SERVER_URL', 'localhost'],
  ['RELAY_RETENTION_HOURS', '0'],
  ['RELAY_KEPT_HOURS', '23'],
  ['RELAY_KEPT_HOURS', 'long'],
  ['OTLP_FORWARD_ENDPOINT', 'ftp://x'],
  ['LOG_LEVEL', 'loud'],
  ['RELAY_HOSTS', 'https://relay.example.org'],
  ['RELAY_HOSTS', 'relay.example.org:4318'],
  ['RELAY_HOSTS', 'relay.example.org/x'],
])('%s=%s is refused with a message that names the variable', (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(name)
})

test.each([
  [{ OTLP_FORWARD_ENDPOINT: 'http://localhost:4318' }],
  [{ OTLP_FORWARD_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }],
  [{ OTLP_FORWARD_ENDPOINT: 'http://127.0.0.1', RELAY_PORT: '80' }],
  [{ OTLP_FORWARD_ENDPOINT: 'http://[::1]:4318', RELAY_HOST: '::' }],
  [{ OTLP_FORWARD_ENDPOINT: 'http://127.0.0.1:4318', RELAY_HOST: '0.0.0.0' }],
  [{ OTLP_FORWARD_ENDPOINT: 'https://Relay.example.org', RELAY_PORT: '443', RELAY_HOSTS: 'relay.example.org' }],
])('$OTLP_FORWARD_ENDPOINT is the relay itself on $RELAY_HOST:$RELAY_PORT, and is refused', (env) => {
  expect(() => readConfig(env)).toThrow(/^OTLP_FORWARD_ENDPOINT must not be this relay itself/)
})

test.each([
  [{ OTLP_FORWARD_ENDPOINT: 'http://127.0.0.1:4319' }],
  [{ OTLP_FORWARD_ENDPOINT: 'http://collector:4318' }],
  [{ OTLP_FORWARD_ENDPOINT: 'http://192.0.2.1:4318', RELAY_HOST: '192.0.2.2' }],
])('$OTLP_FORWARD_ENDPOINT is another than the relay', (env) => {
  expect(readConfig(env).forward?.url).toMatch(/^http/)
})

test('What is reported is never kept for less than the rest, whichever of the two is set', () => {
  expect(readConfig({ RELAY_KEPT_HOURS: '48' }).keptMs).toBe(48 * 3_600_000)
  expect(readConfig({ RELAY_RETENTION_HOURS: '1000' }).keptMs).toBe(1_000 * 3_600_000)
})

test('RELAY_HOSTS is a list of names, in the one way a URL spells them', () => {
  expect(readConfig({ RELAY_HOSTS: 'Relay.Example.org, 192.0.2.1,[2001:db8::1],' }).hosts).toEqual([
    'relay.example.org',
    '192.0.2.1',
    '[2001:db8::1]',
  ])
})

test('A malformed header list is refused without quoting what may be a secret', () => {
  const env = { OTLP_FORWARD_ENDPOINT: 'http://x', OTLP_FORWARD_HEADERS: 'hunter2' }
  expect(() => readConfig(env)).toThrow(/^OTLP_FORWARD_HEADERS must be of the form name=value,name=value\.$/)
})
