/** What relay and server ask their environment for, and what they make of what compose.yaml and the manifests give them. */

import { readConfig as readRelay } from '../../relay/config.ts'
import { readConfig as readServer } from '../../server/config.ts'

export type Service = 'relay' | 'server'
export type Environment = Record<string, string>

/** Read by OpenTelemetry's exporter itself. */
const BY_THE_SDK: Record<Service, string[]> = { relay: [], server: ['OTEL_EXPORTER_OTLP_HEADERS'] }
const READ = { relay: readRelay, server: readServer }

/** Variables in `env` that the service never looks at: misspelt ones, or another's. Throws what its configuration throws. */
export function unknownTo(service: Service, env: Environment): string[] {
  const asked = new Set(BY_THE_SDK[service])
  READ[service](
    new Proxy(env, {
      get: (target, name) => {
        asked.add(String(name))
        return target[String(name)]
      },
    }),
  )
  return Object.keys(env).filter((name) => !asked.has(name))
}

/** What the service listens on. Throws what its configuration throws. */
export function listening(service: Service, env: Environment) {
  const { host, port, metrics } = READ[service](env)
  return { host, port, metrics }
}
