import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { expect, it } from 'vitest'
import { readConfig as readSyntheticsConfig } from './ops/synthetics/config.ts'
import { readConfig as readRelayConfig } from './relay/config.ts'
import { readConfig as readServerConfig } from './server/config.ts'

const example = parseEnv(readFileSync(new URL('./.env.example', import.meta.url), 'utf8')) as Record<string, string>
/** Read by the exporter itself, and by the SDK before any settings. */
const READ_BY_THE_SDK = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_SDK_DISABLED']

type Read = (env: Record<string, string | undefined>) => unknown

/** The variables that are asked for; with what makes it ask for all of them. */
function readBy(read: Read, env: Record<string, string>): string[] {
  const names = new Set<string>()
  read(
    new Proxy(env, {
      get: (target, name) => {
        names.add(String(name))
        return target[String(name)]
      },
    }),
  )
  return [...names]
}

const relay = readBy(readRelayConfig, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.example' })
const server = readBy(readServerConfig, { SERVER_KEY: 'x'.repeat(32) })
const synthetics = readBy(readSyntheticsConfig, {})

it('.env.example has every variable that relay, server and synthetic checks read, and no other', () => {
  expect(relay).toContain('RELAY_SECRETS')
  expect(server).toContain('LLM_MODEL')
  expect(Object.keys(example).sort()).toEqual(
    [...new Set([...relay, ...server, ...synthetics, ...READ_BY_THE_SDK])].sort(),
  )
})

it('.env.example is what holds without it', () => {
  expect(readRelayConfig(example)).toEqual(readRelayConfig({}))
  expect(readSyntheticsConfig(example)).toEqual(readSyntheticsConfig({}))
  // Which it must not have: a key that everybody can read here is none.
  const key = { SERVER_KEY: 'x'.repeat(32) }
  expect(() => readServerConfig(example)).toThrow('SERVER_KEY')
  expect(readServerConfig({ ...example, ...key })).toEqual(readServerConfig(key))
})
