/** What staff who sign in with their work account need besides, held against the relay's settings and what else is closed. */

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { unknownTo } from './settings.ts'

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')
const GIVEN: Record<string, string> = {
  RELAY_OIDC_ISSUER: 'https://accounts.example',
  RELAY_OIDC_CLIENT_ID: 'pass-ats',
  RELAY_OIDC_CLIENT_SECRET: 'x'.repeat(32),
  RELAY_OIDC_ALLOW: 'group:support',
  PUBLIC_URL: 'https://resumes.example',
}
const OIDC = Object.keys(GIVEN).filter((name) => name.startsWith('RELAY_'))

it('in compose, relays and nobody else get a way out, and are told of the provider what they ask for', () => {
  const filled = read('compose.oidc.yaml').replace(/\$\{(\w+):\?[^}]*\}/g, (_, name) => GIVEN[name] ?? `no ${name}`)
  const { services } = parse(filled) as {
    services: Record<string, { networks: string[]; environment: Record<string, string> }>
  }
  const base = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, { image: string }> }
  const relays = Object.keys(base.services).filter((name) => base.services[name]?.image.startsWith('pass-ats-relay:'))
  expect(Object.keys(services)).toEqual(relays)
  for (const { networks, environment } of Object.values(services)) {
    expect(networks).toEqual(['inside', 'outside'])
    expect(unknownTo('relay', environment)).toEqual([])
    expect(Object.keys(environment)).toEqual(expect.arrayContaining(OIDC))
  }
})

it('in Kubernetes the same: one policy, for relays, to the Internet by HTTPS and to nothing that is inside', () => {
  const component = parse(read('kubernetes/oidc/kustomization.yaml'))
  expect(component).toMatchObject({ kind: 'Component', resources: ['network.yaml'] })
  const policies = parseAllDocuments(read('kubernetes/oidc/network.yaml')).map((document) => document.toJS())
  expect(policies).toHaveLength(1)
  const { podSelector, policyTypes, egress } = policies[0].spec
  expect({ podSelector, policyTypes }).toEqual({
    podSelector: { matchLabels: { app: 'relay' } },
    policyTypes: ['Egress'],
  })
  const ofServers = parseAllDocuments(read('kubernetes/network.yaml'))
    .map((document) => document.toJS())
    .find(({ metadata }) => metadata.name === 'server')
  // As wide as what servers have for the model, and no wider.
  expect(egress).toEqual([ofServers.spec.egress.at(-1)])

  const { kind, metadata, data } = parse(read('kubernetes/oidc/settings.yaml'))
  const [relay] = parseAllDocuments(read('kubernetes/relay.yaml')).map((document) => document.toJS())
  const patch = parse(read('kubernetes/oidc/relay.yaml'))
  expect([kind, metadata.name, patch.kind, patch.metadata.name]).toEqual(['ConfigMap', 'relay', relay.kind, 'relay'])
  const { env, name } = patch.spec.template.spec.containers[0]
  expect(name).toBe(relay.spec.template.spec.containers[0].name)
  const secrets = Object.fromEntries(env.map((variable: { name: string }) => [variable.name, GIVEN[variable.name]]))
  expect(unknownTo('relay', { ...data, ...secrets })).toEqual([])
  expect(Object.keys({ ...data, ...secrets })).toEqual(expect.arrayContaining(OIDC))
})
