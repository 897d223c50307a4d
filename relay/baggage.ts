/** What of a caller's baggage goes further: the ID of the browser's session, and nothing else. */
import { type Context, propagation, type TextMapGetter } from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'
import { ATTR_SESSION_ID } from '../names.ts'

/** As crypto.randomUUID makes it. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The header with what may go further; undefined when nothing of it may. Services pass on whatever is in it. */
export function allowedBaggage(header: string | undefined): string | undefined {
  for (const entry of (header ?? '').split(',')) {
    const [name, value = ''] = entry.replace(/;.*$/, '').split('=', 2)
    if (name?.trim() === ATTR_SESSION_ID && UUID.test(value.trim())) return `${ATTR_SESSION_ID}=${value.trim()}`
  }
  return undefined
}

/** W3C Baggage, of which only what is allowed is ever taken in. */
export class AllowedBaggagePropagator extends W3CBaggagePropagator {
  override extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const header = getter.get(carrier, 'baggage')
    const value = allowedBaggage(Array.isArray(header) ? header.join(',') : header)?.split('=')[1]
    if (value === undefined) return context
    return propagation.setBaggage(context, propagation.createBaggage({ [ATTR_SESSION_ID]: { value } }))
  }
}
