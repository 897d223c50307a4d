/**
 * Lines of the log in: the relay's own, as pino writes them, and those of services by `POST /v1/logs`, in OTLP/HTTP's JSON
 * (opentelemetry-proto `docs/specification.md`). Protobuf is not taken: nothing of ours sends it, and lines are few.
 */
import { type Context, Hono } from 'hono'
import { RESOURCE_SERVICE_NAME, SERVICE_RELAY } from '../names.ts'
import { callerOf } from './access/access.ts'
import { Refused } from './access/refusal.ts'
import { BodyTooLarge, readBounded } from './bounded-body.ts'
import type { Line, Logbook } from './logbook.ts'

/** A batch of 512 lines is a fifth of it. */
const MAX_BODY_BYTES = 1024 * 1024
const MAX_LINES = 2_000

// gRPC status codes (google/rpc/code.proto).
const INVALID_ARGUMENT = 3

interface OtlpValue {
  stringValue?: string
  intValue?: string | number
  doubleValue?: number
}
interface OtlpLogs {
  resourceLogs?: {
    resource?: { attributes?: { key: string; value?: OtlpValue }[] }
    scopeLogs?: {
      logRecords?: {
        timeUnixNano?: string
        severityNumber?: number
        body?: OtlpValue
        attributes?: { key: string; value?: OtlpValue }[]
        traceId?: string
      }[]
    }[]
  }[]
}

/** The receiver. Behind the gate: only services send lines. */
export function createLogIntake(book: Logbook): Hono {
  return new Hono().post('/v1/logs', async (c) => {
    if (callerOf(c)?.kind !== 'service') throw new Refused('install_not_allowed')
    const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (type !== 'application/json') return refuse(c, 415, 'Send lines of the log as OTLP in JSON.')
    if (c.req.header('content-encoding')) return refuse(c, 415, 'Send lines of the log without compression.')
    try {
      const lines = linesIn(JSON.parse(new TextDecoder().decode(await readBounded(c.req.raw, MAX_BODY_BYTES))))
      for (const line of lines.slice(0, MAX_LINES)) book.add(line)
      const rejected = lines.length - MAX_LINES
      if (rejected <= 0) return c.json({})
      const errorMessage = `At most ${MAX_LINES} lines a request.`
      return c.json({ partialSuccess: { rejectedLogRecords: String(rejected), errorMessage } })
    } catch (error) {
      if (error instanceof BodyTooLarge) return refuse(c, 413, `At most ${MAX_BODY_BYTES} bytes.`)
      if (error instanceof SyntaxError || error instanceof TypeError)
        return refuse(c, 400, 'The body is not an OTLP logs request in JSON.')
      throw error
    }
  })
}

/** A `google.rpc.Status`, as the specification has it for every error. */
function refuse(c: Context, status: 400 | 413 | 415, message: string): Response {
  return c.json({ code: INVALID_ARGUMENT, message }, status)
}

function linesIn({ resourceLogs = [] }: OtlpLogs): Line[] {
  return resourceLogs.flatMap(({ resource, scopeLogs = [] }) => {
    const service = String(plain(resource?.attributes)[RESOURCE_SERVICE_NAME] ?? '')
    return scopeLogs.flatMap(({ logRecords = [] }) =>
      logRecords.map(({ timeUnixNano = '0', severityNumber = 0, body, attributes, traceId = '' }) => ({
        ...{ traceId: String(traceId).toLowerCase(), service: service.slice(0, 40) },
        at: Math.round(Number(timeUnixNano) / 1e6),
        level: severityNumber >= 17 ? 'error' : severityNumber >= 13 ? 'warn' : 'info',
        message: String(body?.stringValue ?? ''),
        fields: plain(attributes),
      })),
    )
  })
}

function plain(attributes: { key: string; value?: OtlpValue }[] = []): Line['fields'] {
  return Object.fromEntries(
    attributes.flatMap(({ key, value }): [string, string | number][] => {
      if (typeof value?.stringValue === 'string') return [[key, value.stringValue]]
      const number = Number(value?.intValue ?? value?.doubleValue)
      return Number.isFinite(number) ? [[key, number]] : []
    }),
  )
}

/** Where the relay's own log goes: to `out`, and what is of a run into the book. */
export function intoBook(book: Logbook, out: { write(line: string): void }): { write(line: string): void } {
  return {
    write(line) {
      out.write(line)
      if (!line.includes('"trace_id":"')) return
      const { level, time, msg, trace_id, ...fields } = JSON.parse(line)
      if (level < 30) return
      book.add({
        ...{ traceId: trace_id, at: time, service: SERVICE_RELAY, message: String(msg ?? ''), fields },
        level: level >= 50 ? 'error' : level >= 40 ? 'warn' : 'info',
      })
    },
  }
}
