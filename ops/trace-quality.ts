/**
 * What holds for every trace that this product makes: one root, no orphan, nothing open, names and attributes of the
 * list with their types and kinds, errors that say so in one way, children within their parents, whole resources.
 */
import * as names from '../names.ts'
import { layOut, type Row, type Value, type Waterfall } from '../relay/console/waterfall.ts'
import type { KeyValue, TracesData } from '../relay/otlp.ts'

/**
 * A span's times come from two clocks, the wall's and a monotonic one, read one after the other. A process that loses
 * its core between the two is off by as long as that takes.
 */
const CLOCK_SLACK_MS = 100
/**
 * A server's span ends when its process hears that the answer has gone out, and a call's when its stream hears that
 * it was cut; by then the other side may have gone on for a while, on a machine whose cores are all busy.
 */
const HANDOVER_SLACK_MS = 1_000

const entries: [string, string][] = Object.entries(names)
const LISTED = new Set(entries.flatMap(([constant, name]) => (constant.startsWith('ATTR_') ? [name] : [])))
const LISTED_RESOURCE = new Set(entries.flatMap(([constant, name]) => (constant.startsWith('RESOURCE_') ? [name] : [])))
const EVENTS = new Set(entries.flatMap(([constant, name]) => (constant.startsWith('EVENT_') ? [name] : [])))
const METHODS = new Set(entries.flatMap(([constant, name]) => (/^RPC_(?!SYSTEM)/.test(constant) ? [name] : [])))
const SPANS = new Set(entries.flatMap(([constant, name]) => (constant.startsWith('SPAN_') ? [name] : [])))
const CALLS = new Set<string>([names.SPAN_TECTONIC, names.SPAN_WEBHOOK])

/** Names that the HTTP and GenAI conventions make of what is asked: `{method} {route}`, `{method}`, `chat {model}`. */
const HTTP_SERVER = /^(GET|POST)( \/[a-z/{}._-]*)?$/
const HTTP_CLIENT = /^(GET|POST)$/
const CHAT = /^chat \S+$/

type Type = 'string' | 'int' | 'double' | 'boolean' | 'string[]'

/** The types of what is not a string, as the conventions have them; ours are made like them. */
const TYPES: Record<string, Type> = {
  [names.ATTR_WORKER_RESUMES]: 'int',
  [names.ATTR_POSTING_LENGTH]: 'int',
  [names.ATTR_KEYWORDS_MATCHED]: 'int',
  [names.ATTR_KEYWORDS_TOTAL]: 'int',
  [names.ATTR_BULLETS_SELECTED]: 'int',
  [names.ATTR_BULLETS_REFUSED]: 'int',
  [names.ATTR_BULLETS_REPAIRED]: 'int',
  [names.ATTR_BULLETS_LEFT_OUT]: 'int',
  [names.ATTR_LLM_RETRIES]: 'int',
  [names.ATTR_LLM_REPAIR]: 'boolean',
  [names.ATTR_LLM_QUOTA_LEFT]: 'int',
  [names.ATTR_COMPILE_PASSES]: 'int',
  [names.ATTR_COMPILE_SANDBOXED]: 'boolean',
  [names.ATTR_COMPILE_CPU_TIME]: 'double',
  [names.ATTR_COMPILE_MEMORY_PEAK]: 'int',
  [names.ATTR_LATEX_ERROR_LINE]: 'int',
  [names.ATTR_LATEX_LENGTH]: 'int',
  [names.ATTR_PDF_PAGES]: 'int',
  [names.ATTR_PDF_SIZE]: 'int',
  [names.ATTR_PDF_CHECKS_PASSED]: 'string[]',
  [names.ATTR_PDF_CHECKS_FAILED]: 'string[]',
  [names.ATTR_PDF_TEXT_LENGTH]: 'int',
  [names.ATTR_SSE_EVENTS_SENT]: 'int',
  [names.ATTR_SSE_RESUMED]: 'boolean',
  [names.ATTR_RUN_REPOSTS]: 'int',
  [names.ATTR_RUN_REPLAYED]: 'boolean',
  [names.ATTR_RUN_ATTEMPT]: 'int',
  [names.ATTR_WEBHOOK_ATTEMPT]: 'int',
  [names.ATTR_HTTP_RESPONSE_STATUS_CODE]: 'int',
  [names.ATTR_SERVER_PORT]: 'int',
  [names.ATTR_GEN_AI_REQUEST_MAX_TOKENS]: 'int',
  [names.ATTR_GEN_AI_REQUEST_STREAM]: 'boolean',
  [names.ATTR_GEN_AI_RESPONSE_FINISH_REASONS]: 'string[]',
  [names.ATTR_GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK]: 'double',
  [names.ATTR_GEN_AI_USAGE_INPUT_TOKENS]: 'int',
  [names.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS]: 'int',
  [names.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS]: 'int',
  [names.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS]: 'int',
  [names.ATTR_PROCESS_PID]: 'int',
  [names.ATTR_PROCESS_EXIT_CODE]: 'int',
}

/** What the conventions require of a span, by what it is. */
const REQUIRED: Record<string, string[]> = {
  'HTTP server': [names.ATTR_HTTP_REQUEST_METHOD, names.ATTR_URL_PATH, names.ATTR_URL_SCHEME],
  'HTTP client': [
    names.ATTR_HTTP_REQUEST_METHOD,
    names.ATTR_URL_FULL,
    names.ATTR_SERVER_ADDRESS,
    names.ATTR_SERVER_PORT,
  ],
  RPC: [names.ATTR_RPC_SYSTEM, names.ATTR_RPC_METHOD],
  GenAI: [names.ATTR_GEN_AI_OPERATION, names.ATTR_GEN_AI_PROVIDER, names.ATTR_GEN_AI_REQUEST_MODEL],
}

const OF_EVERY_SERVICE = [names.RESOURCE_SERVICE_NAME, names.RESOURCE_SERVICE_VERSION]
const OF_PROCESSES = [...OF_EVERY_SERVICE, names.RESOURCE_SERVICE_INSTANCE_ID]
const OF_BROWSERS = [
  ...OF_EVERY_SERVICE,
  names.RESOURCE_INSTALLATION_ID,
  names.RESOURCE_BROWSER_BRANDS,
  names.RESOURCE_BROWSER_LANGUAGE,
]

/** What is wrong with a trace as it was looked up, in words that name the span; nothing for a sound one. */
export function faultsIn(data: TracesData): string[] {
  return [...faultsOfResources(data), ...faultsOf(layOut(data))]
}

/**
 * The same of a waterfall. Where the root is missing, because the browser holds its part, orphans are what that part
 * has called, and nothing else.
 */
export function faultsOf(waterfall: Waterfall): string[] {
  const { rows, root, missingParents } = waterfall
  const byId = new Map(rows.map((row) => [row.spanId, row]))
  const tops = rows.filter(({ parentSpanId }) => !parentSpanId)
  const orphans = rows.filter(({ parentSpanId }) => parentSpanId && missingParents.includes(parentSpanId))
  return [
    ...(tops.length > 1 ? [`there are ${tops.length} roots: ${tops.map(whereOf).join(', ')}`] : []),
    ...(waterfall.inCircles > 0 ? [`${waterfall.inCircles} spans are in circles`] : []),
    ...orphans.filter((row) => root || !isCalledByBrowser(row)).map((row) => `${whereOf(row)} is an orphan`),
    ...rows.flatMap((row) => [
      ...faultsOfSpan(row).map((fault) => `${whereOf(row)}: ${fault}`),
      ...faultsOfNesting(row, byId.get(row.parentSpanId ?? '')),
    ]),
  ]
}

/** The relay takes the browser's requests, and the server's stages name the browser's `generate` as their parent. */
const isCalledByBrowser = ({ kind, service, name }: Row) =>
  (kind === 'server' && service === names.SERVICE_RELAY) || (service === names.SERVICE_SERVER && SPANS.has(name))

function faultsOfSpan(row: Row): string[] {
  const faults: string[] = []
  const { name, kind, status, attributes } = row
  const what = whatIs(row)
  if (!what) faults.push(`no ${kind} span has that name`)
  for (const required of REQUIRED[what ?? ''] ?? []) {
    if (attributes[required] === undefined) faults.push(`${required} is missing`)
  }
  for (const [key, value] of Object.entries(attributes)) {
    if (!LISTED.has(key)) faults.push(`${key} is not listed`)
    else if (!isA(TYPES[key] ?? 'string', value)) faults.push(`${key} is no ${TYPES[key] ?? 'string'}`)
  }
  const type = attributes[names.ATTR_ERROR_TYPE]
  const code = row.failureCode
  // What a server answers with 4xx is its caller's failure: it says which, and its status stays unset (HTTP conventions).
  const isCallers = what === 'HTTP server' && isRefusal(attributes)
  if (status === 'error' && type === undefined) faults.push('it failed, and has no error.type')
  if (status !== 'error' && type !== undefined && !isCallers) {
    faults.push(`its error.type is ${type}, and its status ${status}`)
  }
  // Who cancels has not failed.
  if (status !== 'error' && code !== undefined && code !== 'cancelled' && !isCallers) {
    faults.push(`it has the code ${code}, and did not fail`)
  }
  if (!row.hasEnd) faults.push('it has no end')
  for (const event of row.events) {
    if (!EVENTS.has(event.name)) faults.push(`the event ${event.name} is not listed`)
    for (const key of Object.keys(event.attributes)) if (!LISTED.has(key)) faults.push(`${key} is not listed`)
  }
  if (METHODS.has(name) && attributes[names.ATTR_RPC_METHOD] !== name) faults.push('its method is another')
  return faults
}

function isRefusal(attributes: Row['attributes']): boolean {
  const status = Number(attributes[names.ATTR_HTTP_RESPONSE_STATUS_CODE])
  return status >= 400 && status < 500
}

/** Which convention a span follows; undefined when there is none of its name and kind. */
function whatIs({ name, kind }: Row): string | undefined {
  if (METHODS.has(name)) return kind === 'client' || kind === 'server' ? 'RPC' : undefined
  if (CALLS.has(name)) return kind === 'client' ? 'call' : undefined
  if (SPANS.has(name)) return kind === 'internal' ? 'step' : undefined
  if (CHAT.test(name)) return kind === 'client' ? 'GenAI' : undefined
  if (kind === 'server' && HTTP_SERVER.test(name)) return 'HTTP server'
  if (kind === 'client' && HTTP_CLIENT.test(name)) return 'HTTP client'
  return undefined
}

function faultsOfNesting(row: Row, parent: Row | undefined): string[] {
  if (!parent) return []
  const faults: string[] = []
  const nested = `${whereOf(row)} in ${whereOf(parent)}`
  const early = parent.startMs - row.startMs
  if (early > CLOCK_SLACK_MS) faults.push(`${nested} begins ${early.toFixed(0)} ms before it`)
  // Who called it died, and its span ends at the last sign of life; the call went on.
  if (parent.attributes[names.ATTR_ERROR_TYPE] === 'service_worker_terminated') return faults
  // Whoever cancels, or gives up, does not wait until all the others have let go.
  if (parent.failureCode === 'cancelled' || parent.failureCode === 'interrupted') return faults
  // The browser gave up for a reason of its own (nobody answered, or the run was another's by now), and nobody was told.
  const isGivenUp = parent.service === names.SERVICE_EXTENSION && row.service !== names.SERVICE_EXTENSION
  if (isGivenUp && parent.status === 'error' && parent.failureCode !== row.failureCode) return faults
  // Programs name no span that waits for the run: then the request is the parent, which has ended with its 202.
  if (parent.kind === 'server' && SPANS.has(row.name) && row.service === parent.service) return faults
  const late = row.startMs + row.durationMs - parent.startMs - parent.durationMs
  const slack = row.service === names.SERVICE_EXTENSION ? CLOCK_SLACK_MS : HANDOVER_SLACK_MS
  if (late > slack) faults.push(`${nested} ends ${late.toFixed(0)} ms after it`)
  return faults
}

function faultsOfResources({ resourceSpans }: TracesData): string[] {
  const faults = resourceSpans.flatMap(({ resource }) => {
    const keys = new Set((resource?.attributes ?? []).map(({ key }) => key))
    const service = textOf(resource?.attributes, names.RESOURCE_SERVICE_NAME) ?? 'a service without a name'
    const due = service === names.SERVICE_EXTENSION ? OF_BROWSERS : OF_PROCESSES
    return [
      ...due.filter((key) => !keys.has(key)).map((key) => `${service}: its resource has no ${key}`),
      ...[...keys].filter((key) => !LISTED_RESOURCE.has(key)).map((key) => `${service}: ${key} is not listed`),
    ]
  })
  return [...new Set(faults)]
}

const textOf = (attributes: KeyValue[] | undefined, name: string) =>
  attributes?.find(({ key }) => key === name)?.value?.stringValue

const whereOf = ({ name, service }: Row) => `${name} (${service})`

function isA(type: Type, value: Value): boolean {
  if (type === 'string[]') return Array.isArray(value) && value.every((item) => typeof item === 'string')
  if (type === 'int') return Number.isInteger(value)
  return typeof value === (type === 'double' ? 'number' : type)
}
