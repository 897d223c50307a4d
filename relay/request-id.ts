/** An ID for every request: in its answer, in the log lines about it, and in those of the server behind. */
import { randomUUID } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { REQUEST_ID_HEADER } from '../server/relay-contract.ts'

/** Not Hono's own: that one takes over what the caller sends, and so writes a stranger's words into our logs. */
export const identified: MiddlewareHandler = async (c, next) => {
  const id = randomUUID()
  c.set('requestId', id)
  // On c.res, so that a handler which answers with a Response of its own keeps it.
  c.res.headers.set(REQUEST_ID_HEADER, id)
  await next()
}

export function requestIdOf(c: Context): string {
  return c.get('requestId') ?? ''
}
