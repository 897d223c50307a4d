/** What a run waited for: had one of these been faster, the run would have been. Pure. */
import { ATTR_HTTP_ROUTE, ATTR_URL_FULL } from '../../names.ts'
import type { Row } from './waterfall.ts'

/**
 * The span IDs on the way back from the end of `top`: at each moment the child that ended last before it, and within
 * that the same again.
 */
export function criticalPath(top: Row, children: ReadonlyMap<string, readonly Row[]>): Set<string> {
  const path = new Set<string>()
  const stack = [{ row: top, until: endOf(top) }]
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { row, until } = next
    if (path.has(row.spanId)) continue
    path.add(row.spanId)
    let at = until
    const candidates = (children.get(row.spanId) ?? []).filter((child) => !onlyFollows(child))
    for (const child of candidates.toSorted((a, b) => endOf(b) - endOf(a))) {
      // Began after what was waited for had: something else was waited for meanwhile.
      if (child.startMs >= at || endOf(child) > at + SLACK_MS) continue
      stack.push({ row: child, until: Math.min(at, endOf(child)) })
      at = child.startMs
    }
  }
  return path
}

/** A child that was cut off with its parent may end a moment after it. */
const SLACK_MS = 250
const endOf = ({ startMs, durationMs }: Row) => startMs + durationMs

/** A stream of events is open as long as the run, and waits for the stages: it is never what a run waits for. */
function onlyFollows({ attributes }: Row): boolean {
  return [ATTR_URL_FULL, ATTR_HTTP_ROUTE].some((name) => String(attributes[name] ?? '').endsWith('/events'))
}
