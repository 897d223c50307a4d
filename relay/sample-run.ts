/** Invented spans and a store in a temporary folder, for the tests of the relay. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { createBreaker } from '../breaker.ts'
import { RESOURCE_SERVICE_NAME, SERVICE_EXTENSION, SPAN_EXTRACT } from '../names.ts'
import { type AccessConfig, createAccess } from './access/access.ts'
import { createAddressOf } from './access/address.ts'
import { DEFAULT_LIMITS } from './access/quotas.ts'
import type { Parts } from './app.ts'
import { openAudit } from './console/audit.ts'
import { createStaff } from './console/staff.ts'
import { createAccept } from './ingest.ts'
import { createLog } from './log.ts'
import { type Logbook, openLogbook } from './logbook.ts'
import type { KeyValue, OtlpSpan, TracesData } from './otlp.ts'
import { SERVER_BREAKER } from './proxy.ts'
import type { Terms } from './store/retention.ts'
import { type Options, openStore, type Store } from './store/store.ts'
import type { Traces } from './store/traces.ts'

export const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
/** 2026-01-01T00:00:00Z, nanoseconds. */
const START_NS = 1_767_225_600_000_000_000n

/** A span of {@link TRACE_ID} that starts `startMs` after the run and lasts `durationMs`. */
export function sampleSpan(
  spanId: string,
  { startMs = 0, durationMs = 10, ...span }: Partial<OtlpSpan> & { startMs?: number; durationMs?: number } = {},
): OtlpSpan {
  const start = START_NS + BigInt(startMs) * 1_000_000n
  return {
    traceId: TRACE_ID,
    spanId,
    name: SPAN_EXTRACT,
    kind: 1,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + BigInt(durationMs) * 1_000_000n),
    ...span,
  }
}

export function text(key: string, stringValue: string): KeyValue {
  return { key, value: { stringValue } }
}

/** An export request of one service. */
export function sampleRequest(spans: OtlpSpan[], service = SERVICE_EXTENSION): TracesData {
  return {
    resourceSpans: [{ resource: { attributes: [text(RESOURCE_SERVICE_NAME, service)] }, scopeSpans: [{ spans }] }],
  }
}

/** A day, thirty for what failed or was reported, and more room than any test needs. */
export const TERMS: Terms = { retentionMs: 86_400_000, keptMs: 30 * 86_400_000, maxBytes: 5 * 1024 ** 3 }

/** A folder for a store, not there yet; removed after the test. */
export function temporaryPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pass-ats-relay-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'store')
}

/** An open store, closed after the test. */
export function temporaryStore(path = temporaryPath(), now?: () => number, terms = TERMS, options?: Options): Store {
  const store = openStore(path, terms, { ...(now ? { now } : {}), ...options })
  onTestFinished(() => store.close())
  return store
}

/** A book in memory, closed after the test. */
export function temporaryLogbook(now?: () => number): Logbook {
  const book = openLogbook(undefined, TERMS.retentionMs, now)
  onTestFinished(() => book.close())
  return book
}

export const SECRET = 'a secret that only tests know, long enough'
export const SYNTHETIC_KEY = 'key-of-a-check-that-only-tests-know-of'
export const SERVICE_KEY = 'collector-key-that-only-tests-know-of'
/** What a service sends along. */
export const AS_SERVICE = { authorization: `Bearer ${SERVICE_KEY}` }

/** Access by {@link SECRET} and {@link AS_SERVICE}, with the quotas of the defaults. */
export function sampleAccess({ now, ...config }: Partial<AccessConfig> & { now?: () => number } = {}) {
  const serviceKeys = [{ name: 'collector', key: SERVICE_KEY }]
  const syntheticKeys = [{ name: 'e2e', key: SYNTHETIC_KEY }]
  const defaults = { secrets: [SECRET], serviceKeys, syntheticKeys, trustedProxies: [], limits: DEFAULT_LIMITS }
  return createAccess({ ...defaults, ...config }, now)
}

const SUPPORT_TOKEN = 'support-token-that-only-tests-know-of'
/** What a program of the staff sends along. */
export const AS_STAFF = { authorization: `Bearer ${SUPPORT_TOKEN}` }
/** What a process is started with, so that {@link AS_STAFF} is one of its staff. */
export const STAFF_ENV = { RELAY_SUPPORT_TOKENS: `ada:${SUPPORT_TOKEN}` }

/** Who may look at the console: {@link AS_STAFF}, and nothing else is configured. The audit goes with the test. */
export function sampleSupport(now: () => number = Date.now): Parts['support'] {
  const folder = mkdtempSync(join(tmpdir(), 'pass-ats-audit-'))
  const audit = openAudit(join(folder, 'audit.jsonl'), now)
  onTestFinished(() => {
    audit.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const staff = createStaff([{ name: 'ada', token: SUPPORT_TOKEN }], now)
  return { staff, audit, addressOf: createAddressOf([]), links: [], runbooks: undefined }
}

/** What a relay is made of that forwards to nobody and has no server behind it; `parts` instead of some of it. */
export function sampleParts(store: Traces, parts: Partial<Parts> = {}): Parts {
  return {
    store,
    accept: createAccept(store, () => {}),
    book: temporaryLogbook(parts.now),
    access: sampleAccess(),
    breaker: createBreaker(SERVER_BREAKER),
    forwarder: undefined,
    serverUrl: 'http://127.0.0.1:1',
    serverKey: undefined,
    hosts: [],
    instanceId: 'c0ffee',
    support: sampleSupport(parts.now),
    shutdown: new AbortController().signal,
    flushSpans: async () => {},
    log: silent,
    ...parts,
  }
}

/** What an install sends along that registers by this answer of POST /installs. */
export async function asInstall(answer: Response | Promise<Response>): Promise<{ authorization: string }> {
  const { token } = await (await answer).json()
  return { authorization: `Bearer ${token}` }
}

export const silent = createLog('silent')

/** A log whose lines can be awaited by their message. */
export function heardLog() {
  const heard = new Map<string, PromiseWithResolvers<void>>()
  const line = (message: string) => {
    const known = heard.get(message) ?? Promise.withResolvers<void>()
    heard.set(message, known)
    return known
  }
  const log = createLog('info', { write: (json: string) => line(JSON.parse(json).msg).resolve() })
  return { log, heard: (message: string) => line(message).promise }
}

/** A real HTTP server on a free port, closed with all its connections after the test. */
export async function listen(listener: RequestListener, port = 0): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** An address where nobody listens: a port that was free a moment ago. */
export async function deadAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return `http://127.0.0.1:${port}`
}
