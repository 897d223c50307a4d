/** The manifests, held against Kubernetes' own types, the configuration that they set, and the ports that they connect. */

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { ConfigMap, Container, PodSpec, Probe, Service } from 'kubernetes-types/core/v1.d.ts'
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import manifest from '../../../package.json' with { type: 'json' }
import { listening, type Service as Ours, unknownTo } from '../settings.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const HERE = fileURLToPath(new URL('.', import.meta.url))
const DEPLOY = fileURLToPath(new URL('..', import.meta.url))

interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string }
}
const files = readdirSync(HERE).filter((name) => name.endsWith('.yaml'))
const manifests = files.flatMap((file) =>
  parseAllDocuments(readFileSync(join(HERE, file), 'utf8')).map((document) => document.toJS() as Manifest),
)
const kustomization = parse(readFileSync(join(DEPLOY, 'kustomization.yaml'), 'utf8')) as {
  resources: string[]
  images: { name: string; newTag: string }[]
  configMapGenerator: { name: string; files: string[] }[]
}
const all = <T>(kind: string) => manifests.filter((each) => each.kind === kind) as (T & Manifest)[]
const named = <T>(kind: string, name: string) => all<T>(kind).find(({ metadata }) => metadata.name === name)

/** Deployments are the same, as far as it is asked here. */
const workloads = [...all<StatefulSet>('StatefulSet'), ...all<StatefulSet>('Deployment')].map((workload) => {
  const pod = workload.spec?.template.spec as PodSpec
  return { name: workload.metadata.name, pod, container: pod.containers[0] as Container, workload }
})
const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const
const portNamed = ({ ports = [] }: Container, name: unknown) => ports.find((port) => port.name === name)?.containerPort
const ours = workloads.filter(({ name }) => name === 'relay' || name === 'server') as ((typeof workloads)[number] & {
  name: Ours
})[]
const environmentOf = (name: Ours, { env = [] }: Container): Record<string, string> => ({
  [`${name.toUpperCase()}_HOST`]: '0.0.0.0',
  [`${name.toUpperCase()}_METRICS_HOST`]: '0.0.0.0',
  ...named<ConfigMap>('ConfigMap', name)?.data,
  ...Object.fromEntries(env.map((variable) => [variable.name, SECRETS[variable.name] ?? ''])),
})
const secret = 'x'.repeat(32)
const SECRETS: Record<string, string> = {
  SERVER_KEY: secret,
  RELAY_SECRETS: secret,
  RELAY_SERVICE_KEYS: `server:${secret}`,
  RELAY_SUPPORT_TOKENS: `ada:${secret}`,
  OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secret}`,
}

it('every file is in the kustomization, and every file of that is there', () => {
  expect(kustomization.resources.sort()).toEqual(files.map((file) => `kubernetes/${file}`).sort())
  const generated = kustomization.configMapGenerator.flatMap((each) => each.files)
  for (const file of generated) expect(existsSync(join(DEPLOY, file)), file).toBe(true)
  for (const { newTag } of kustomization.images) expect(newTag).toBe(manifest.version)
})

// Excess properties of literals are errors: so a misspelt field is one, which no server-side schema says.
it('has no field that Kubernetes does not know, and none of another type', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pass-ats-kubernetes-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const source = manifests.map((each, index) => {
    const [group = '', version] = each.apiVersion.includes('/') ? each.apiVersion.split('/') : ['core', each.apiVersion]
    const module = `kubernetes-types/${group.split('.')[0]}/${version}`
    return `import type { ${each.kind} as T${index} } from '${module}'\nexport const m${index}: T${index} = ${JSON.stringify(each)}`
  })
  writeFileSync(join(folder, 'manifests.ts'), source.join('\n'))
  const types = { 'kubernetes-types/*': [`${ROOT}node_modules/kubernetes-types/*`] }
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: [],
    paths: types,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['manifests.ts'] }))
  const { stdout } = await promisify(execFile)(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', folder]).catch(
    (error) => error as { stdout: string },
  )
  expect(stdout).toBe('')
})

describe.each(workloads)('$name', ({ name, pod, container }) => {
  it('runs as nobody special, writes nowhere else, has no say in the cluster, and has bounds', () => {
    expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false })
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: expect.any(Number) })
    const profile = name === 'server' ? 'Localhost' : 'RuntimeDefault'
    expect(pod.securityContext?.seccompProfile?.type).toBe(profile)
    expect(pod.containers).toHaveLength(1)
    expect(container.securityContext).toEqual({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    })
    expect(container.resources).toMatchObject({ requests: expect.anything(), limits: { memory: expect.any(String) } })
    if (!/^pass-ats-(relay|server)$/.test(container.image ?? ''))
      expect(container.image).toMatch(/:\d+\.\d+\.\d+(-alpine)?$/)
  })

  it('is asked whether it is there, and lets in and out whom the network has for it', () => {
    const probes = PROBES.map((probe) => container[probe]).filter((probe) => probe !== undefined)
    expect(probes.length).toBeGreaterThan(1)
    for (const { httpGet } of probes) if (httpGet) expect(portNamed(container, httpGet.port)).toBeDefined()
    const policies = all<NetworkPolicy>('NetworkPolicy').filter((policy) => selects(policy, name))
    const open = policies.flatMap(({ spec }) => spec?.ingress ?? []).flatMap(({ ports = [] }) => ports)
    const own = (container.ports ?? []).filter((port) => port.name !== 'health').map((port) => port.containerPort)
    expect([...new Set(open.map(({ port }) => port))].sort()).toEqual(own.sort())
  })
})

describe.each(ours)('$name', ({ name, container, pod }) => {
  const environment = environmentOf(name, container)

  it('is told nothing that it does not ask for, and takes what it is told', () => {
    expect(unknownTo(name, environment)).toEqual([])
  })

  it('is asked where it listens, for what it answers', () => {
    const { port, metrics } = listening(name, environment)
    expect(portNamed(container, 'http')).toBe(port)
    expect(portNamed(container, 'metrics')).toBe(metrics.port)
    const app = readFileSync(join(ROOT, name, 'app.ts'), 'utf8')
    for (const probe of PROBES) {
      const { path, port } = (container[probe] as Probe).httpGet ?? {}
      expect(port).toBe('http')
      expect(app).toContain(`app.get('${path}'`)
    }
  })

  it('asks for others where they are, and may', () => {
    for (const [variable, value] of Object.entries(environment)) {
      if (!/^\w+:\/\//.test(value)) continue
      const { hostname, port } = new URL(value)
      const service = named<Service>('Service', hostname)
      expect(
        service?.spec?.ports?.map((each) => each.port),
        variable,
      ).toContain(Number(port))
      const policies = all<NetworkPolicy>('NetworkPolicy').filter((policy) => selects(policy, name))
      const allowed = policies
        .flatMap(({ spec }) => spec?.egress ?? [])
        .some(
          ({ to = [], ports = [] }) =>
            ports.some((each) => each.port === Number(port)) &&
            to.some(({ podSelector }) => podSelector && matches(podSelector, hostname)),
        )
      expect(allowed, variable).toBe(true)
    }
  })

  it('has as user whom its image has', () => {
    const dockerfile = readFileSync(join(DEPLOY, 'Dockerfile'), 'utf8')
    expect(dockerfile).toContain(`USER ${pod.securityContext?.runAsUser}:${pod.securityContext?.runAsGroup}`)
  })
})

it('services lead to ports that their pods have', () => {
  for (const { metadata, spec } of all<Service>('Service')) {
    const { container } = workloads.find(({ name }) => name === spec?.selector?.app) ?? {}
    for (const { port, targetPort } of spec?.ports ?? []) {
      expect(container && portNamed(container, targetPort), metadata.name).toBe(port)
    }
  }
})

it('the secret that README has a command for has every key that is asked for', () => {
  const readme = readFileSync(join(DEPLOY, 'README.md'), 'utf8')
  const keys = workloads.flatMap(({ container }) =>
    (container.env ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []),
  )
  for (const { name, key, optional } of keys) {
    expect(name).toBe('pass-ats')
    if (!optional) expect(readme).toContain(`--from-literal=${key}=`)
  }
})

type Selector = { matchLabels?: { [key: string]: string }; matchExpressions?: { key: string; values?: string[] }[] }

function matches({ matchLabels, matchExpressions = [] }: Selector, app: string): boolean {
  if (matchLabels) return matchLabels.app === app
  return matchExpressions.some(({ key, values = [] }) => key === 'app' && values.includes(app))
}

function selects({ spec }: NetworkPolicy, app: string): boolean {
  return spec !== undefined && matches(spec.podSelector, app)
}
