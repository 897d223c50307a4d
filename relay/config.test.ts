import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

test('Without any variable the relay listens on the loopback address and forwards nothing', () => {
  expect(readConfig({})).toEqual({
    host: '127.0.0.1',
    port: 4318,
    serverUrl: 'http://127.0.0.1:4320',
    storePath: 'data/relay.sqlite',
    retentionMs: 86_400_000,
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
  ['OTLP_FORWARD_ENDPOINT', 'ftp://x'],
  ['LOG_LEVEL', 'loud'],
])('%s=%s is refused with a message that names the variable', (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(name)
})

test('A malformed header list is refused without quoting what may be a secret', () => {
  const env = { OTLP_FORWARD_ENDPOINT: 'http://x', OTLP_FORWARD_HEADERS: 'hunter2' }
  expect(() => readConfig(env)).toThrow(/^OTLP_FORWARD_HEADERS must be of the form name=value,name=value\.$/)
})
