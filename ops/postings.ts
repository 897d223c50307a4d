/** The bundled postings, each at the address it would have on the web, in a browser that reaches nothing else there. */

import { readFileSync } from 'node:fs'
import type { BrowserContext } from '@playwright/test'

const FOLDER = new URL('../fixtures/postings/', import.meta.url)

/** What a bundled page holds. */
export interface BundledPosting {
  host: string
  path: string
  source?: string
  title?: string
  company?: string
  location?: string
  description?: string
  notAPosting?: boolean
}

/** The bundled pages by file name. */
export function bundledPostings(): Record<string, BundledPosting> {
  return JSON.parse(readFileSync(new URL('expected.json', FOLDER), 'utf8'))
}

/** The address a bundled page is visited at. Throws an Error when there is no such page. */
export function urlOf(file: string): string {
  const posting = bundledPostings()[file]
  if (!posting) throw new Error(`No bundled posting is called ${file}`)
  return `https://${posting.host}${posting.path}`
}

/** The page at an address, as UTF-8; undefined when no bundled one is visited there. */
export function pageAt(url: string): Buffer | undefined {
  const file = Object.keys(bundledPostings()).find((name) => urlOf(name) === url)
  return file ? readFileSync(new URL(file, FOLDER)) : undefined
}

/**
 * Answers the browser's pages with the bundled postings. Not a server of ours behind a rule of names: most job boards
 * are on the browser's list of hosts that it visits by TLS only.
 */
export async function serveBundledPostings(context: BrowserContext): Promise<void> {
  await context.route(
    ({ protocol, hostname }) => /^https?:$/.test(protocol) && hostname !== '127.0.0.1',
    async (route) => {
      const body = pageAt(route.request().url())
      if (!body) return route.fulfill({ status: 404, contentType: 'text/plain', body: 'no such page' })
      return route.fulfill({ status: 200, contentType: 'text/html; charset=utf-8', body })
    },
  )
}
