/** The variables that say where traces are kept. Read by the relay's config.ts, like all others. */
import type { Endpoint } from './ask.ts'

/** Engines that the relay can read from. */
const KINDS = ['jaeger', 'tempo'] as const

/** Where traces are when they are not in the relay's own files. */
export interface EngineSettings {
  kind: (typeof KINDS)[number]
  store: Endpoint
  archive: Endpoint
  /** Complete URL of the OTLP/HTTP traces endpoint by which the archive takes spans. */
  archiveOtlp: string
}

export interface Reading {
  text: (name: string, fallback: string) => string
  /** Throws an Error that names the variable. */
  url: (name: string, fallback: string) => string
  headers: (name: string, list: string) => Record<string, string>
  /** Whether there is a Collector to send everything to. */
  forwards: boolean
}

/** Undefined for the relay's own files. Throws an Error that names the variable, what it must be and what it was. */
export function readEngine({ text, url, headers, forwards }: Reading): EngineSettings | undefined {
  const kind = text('TRACE_STORE', 'sqlite')
  const optional = (name: string) => (text(name, '') === '' ? undefined : url(name, ''))
  const endpoint = (name: string) => {
    const own = headers(`${name}_HEADERS`, text(`${name}_HEADERS`, ''))
    const at = optional(`${name}_URL`)
    return at === undefined ? undefined : { url: at, headers: own }
  }
  const store = endpoint('TRACE_STORE')
  const archive = endpoint('TRACE_ARCHIVE')
  const otlp = optional('TRACE_ARCHIVE_OTLP_ENDPOINT')
  if (kind === 'sqlite') return undefined
  const known = KINDS.find((known) => known === kind)
  if (!known) throw new Error(`TRACE_STORE must be one of sqlite, ${KINDS.join(', ')}, not "${kind}".`)
  const missing = (name: string) => new Error(`TRACE_STORE=${kind} needs ${name}.`)
  if (!forwards) throw missing('OTEL_EXPORTER_OTLP_ENDPOINT, the Collector that takes the spans')
  if (!store) throw missing('TRACE_STORE_URL, where everything is for a time')
  if (!archive) throw missing('TRACE_ARCHIVE_URL, where what is kept stays')
  if (!otlp) throw missing('TRACE_ARCHIVE_OTLP_ENDPOINT, where the archive takes spans')
  return { kind: known, store, archive, archiveOtlp: /\/v1\/traces$/.test(otlp) ? otlp : `${otlp}/v1/traces` }
}
