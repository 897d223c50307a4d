/**
 * The console's style and script. Their addresses change with what is in them, so that a browser keeps them for good: a
 * page that waits for them again each time is a page later.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'

function asset(file: string, name: string, type: string) {
  const body = readFileSync(new URL(file, import.meta.url), 'utf8')
  return { path: `/support/${name}`, url: `/support/${name}?v=${hash('sha256', body).slice(0, 12)}`, body, type }
}

export const STYLE = asset('./console.css', 'console.css', 'text/css; charset=utf-8')
export const SCRIPT = asset('./client.js', 'console.js', 'text/javascript; charset=utf-8')
/** A year, which is for ever (RFC 9111). Nothing of a trace is in them. */
export const KEPT = 'public, max-age=31536000, immutable'
