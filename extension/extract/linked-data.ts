/** The JSON-LD of a page (https://www.w3.org/TR/json-ld11/) as a flat list of nodes; contexts are not resolved. */

/** A JSON object out of a JSON-LD script: any keys, any values. */
export type LinkedNode = Record<string, unknown>

/** Bounds for a page that means harm; the largest real script we have seen is under 200 kB. */
const MAX_SCRIPTS = 50
const MAX_SCRIPT_LENGTH = 2_000_000
const MAX_NODES = 5_000

/**
 * Every object in the page's JSON-LD scripts, outermost first: `@graph`, arrays and nested objects included. A script
 * that is not JSON is passed over. Undefined when the page has no JSON-LD script at all.
 */
export function linkedNodes(document: Document): LinkedNode[] | undefined {
  const scripts = Array.from(document.querySelectorAll('script[type*="ld+json" i]')).slice(0, MAX_SCRIPTS)
  if (scripts.length === 0) return undefined
  const queue: unknown[] = scripts.map((script) => parsed(script.textContent ?? ''))
  const nodes: LinkedNode[] = []
  for (let next = 0; next < queue.length && next < MAX_NODES; next++) {
    const value = queue[next]
    if (typeof value !== 'object' || value === null) continue
    if (!Array.isArray(value)) nodes.push(value as LinkedNode)
    for (const inner of Object.values(value)) if (typeof inner === 'object') queue.push(inner)
  }
  return nodes
}

/** Whether the node's `@type`, one or several, is the schema.org type named. */
export function isA(node: LinkedNode, type: string): boolean {
  return list(node['@type']).some((name) => typeof name === 'string' && name.split(/[/:#]/).at(-1) === type)
}

/** The value as a list: JSON-LD writes one value bare. */
export function list(value: unknown): unknown[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value.slice(0, 100) : [value]
}

/** The value as text: a string, a number, `{"@value": …}`, the `name` of a node, or several of them as lines. */
export function text(value: unknown): string {
  return list(value)
    .map((item) => {
      if (typeof item === 'string' || typeof item === 'number') return String(item)
      const node = asNode(item)
      const inner = node?.['@value'] ?? node?.name
      return typeof inner === 'string' ? inner : ''
    })
    .filter((line) => line !== '')
    .join('\n')
}

/** The value as a node, or undefined. */
export function asNode(value: unknown): LinkedNode | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as LinkedNode) : undefined
}

function parsed(source: string): unknown {
  if (source.length > MAX_SCRIPT_LENGTH) return undefined
  const json = source.replace(
    /^\s*(?:<!--|\/\*\s*<!\[CDATA\[\s*\*\/|<!\[CDATA\[)|(?:-->|\/\*\s*\]\]>\s*\*\/|\]\]>)\s*$/g,
    '',
  )
  // The commonest fault by far is a raw line break inside a string; outside strings a space does as well.
  for (const attempt of [json, json.replace(/\p{Cc}+/gu, ' ')]) {
    try {
      return JSON.parse(attempt)
    } catch {
      // the next attempt, or none
    }
  }
  return undefined
}
