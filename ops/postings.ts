/** Serves the bundled postings, each under the host name it would have on the web. */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const FOLDER = new URL('../fixtures/postings/', import.meta.url)

/** What a bundled page holds. */
export interface ExpectedPosting {
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
export function bundledPostings(): Record<string, ExpectedPosting> {
  return JSON.parse(readFileSync(new URL('expected.json', FOLDER), 'utf8'))
}

export interface PostingServer {
  /** `host:port`, for the browser's `allHostsAt`. */
  address: string
  /** The address a page is visited at. */
  urlOf(file: string): string
  close(): Promise<void>
}

/** Starts on a port the operating system picks. */
export async function servePostings(): Promise<PostingServer> {
  const postings = bundledPostings()
  const server = createServer((request, response) => {
    const host = request.headers.host?.replace(/:\d+$/, '')
    const path = request.url?.replace(/[?#].*$/, '')
    const found = Object.entries(postings).find(([, posting]) => posting.host === host && posting.path === path)
    if (!found) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('no such page')
      return
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(readFileSync(new URL(found[0], FOLDER)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    urlOf: (file) => {
      const posting = postings[file]
      if (!posting) throw new Error(`No bundled posting is called ${file}`)
      return `http://${posting.host}:${port}${posting.path}`
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
