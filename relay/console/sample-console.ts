/** A console over a store of invented runs, for its tests. */
import { gzipSync } from 'node:zlib'
import { JSDOM } from 'jsdom'
import { createAccept } from '../ingest.ts'
import { encode, spansOf, type TracesData } from '../otlp.ts'
import { AS_STAFF, sampleSupport, silent, temporaryLogbook, temporaryStore } from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import type { Store } from '../store/store.ts'
import type { Traces } from '../store/traces.ts'
import { type Console, createConsole } from './console.ts'

/** 2026-01-01T00:05:00Z. */
export const NOW = Date.UTC(2026, 0, 1, 0, 5)

/** The console of a store, with its clock at {@link NOW} unless another is given. */
export function consoleOf(store: Traces, parts: Partial<Console> = {}) {
  const book = temporaryLogbook()
  const now = parts.now ?? (() => NOW)
  const support = sampleSupport(now)
  let flushes = 0
  const flushSpans = async () => {
    flushes += 1
  }
  const shutdown = new AbortController().signal
  const app = createConsole({
    ...support,
    store,
    book,
    flushSpans,
    onKept: () => {},
    shutdown,
    log: silent,
    now,
    ...parts,
  })
  /** As staff; `headers` instead of that. */
  const get = (path: string, headers: Record<string, string> = AS_STAFF) => app.request(path, { headers })
  const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
    app.request(path, { method: 'POST', body: new URLSearchParams(form), headers })
  const page = async (path: string, headers?: Record<string, string>) => {
    const response = await get(path, headers)
    const { document } = new JSDOM(await response.text()).window
    return { response, document, heading: document.querySelector('h1')?.textContent?.trim() ?? '' }
  }
  /** Signs in with a token and answers with what a browser sends then. */
  const signIn = async (token = AS_STAFF.authorization.slice('Bearer '.length)) => {
    const response = await post('/support/sign-in', { token })
    return { response, cookie: { cookie: (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '' } }
  }
  return { app, book, get, post, page, signIn, support, flushes: () => flushes }
}

/** The same over a store that has taken these requests. */
export async function consoleWith(...requests: TracesData[]) {
  const store = temporaryStore(undefined, () => NOW)
  await take(store, ...requests)
  return { ...consoleOf(store), store }
}

/** Takes requests in as they come over the network. */
export async function take(store: Store, ...requests: TracesData[]): Promise<void> {
  const accept = createAccept(store, () => {})
  for (const request of requests) {
    await accept({ bytes: encode(request, 'json'), encoding: 'json', gzipped: false })
  }
}

/** Puts requests into the store past ingest, which takes out what is not listed: they may be older than its list. */
export async function put(store: Store, ...requests: TracesData[]): Promise<void> {
  for (const request of requests) {
    const spans = [...spansOf(request)]
    const traces = [...new Set(spans.map(({ traceId }) => traceId))].map((traceId) => {
      const own = spans.filter((span) => span.traceId === traceId)
      return [traceId, { spans: own.length, error: own.some(({ status }) => status?.code === 2) }] as const
    })
    await store.append({ encoding: 'json', body: gzipSync(encode(request, 'json')), traces: packTraces(traces) })
  }
}
