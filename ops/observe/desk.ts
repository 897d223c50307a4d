/**
 * Where alerts arrive on this machine, in place of a pager, and where their runbooks are read:
 *
 *     POST /notify/{receiver}      what Alertmanager sends
 *     GET  /runbooks/{document}.md     the document, with an anchor at each heading
 */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { anchorOf, type Document } from '../alerts/document.ts'

export interface Notification {
  receiver: string
  status: 'firing' | 'resolved'
  labels: Record<string, string>
  annotations: Record<string, string>
}

export interface Desk {
  url: string
  close(): Promise<void>
}

/** Throws when it cannot listen. */
export async function openDesk(
  documents: readonly Document[],
  { port, onNotified }: { port: number; onNotified: (notification: Notification) => void },
): Promise<Desk> {
  const server = createServer(async (request, response) => {
    const [, place, name = ''] = (request.url ?? '').split(/[/?#]/)
    if (request.method === 'POST' && place === 'notify') {
      const { alerts = [] } = (await json(request).catch(() => ({}))) as { alerts?: Omit<Notification, 'receiver'>[] }
      for (const alert of alerts) onNotified({ ...alert, receiver: name })
      return void response.writeHead(200).end()
    }
    const document = documents.find((document) => `${document.name}.md` === name)
    if (place !== 'runbooks' || !document) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(document))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Markdown is read well as it is; only its headings and links have to work. */
function page({ name, text }: Document): string {
  const escaped = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
  const body = escaped
    .replace(/^(##? )(.+)$/gm, (_, mark, heading) => `<b id="${anchorOf(heading)}">${mark}${heading}</b>`)
    .replace(/\[([^\]]+)\]\(((?:[\w-]+\.md)?(?:#[\w-]+)?)\)/g, '<a href="$2">$1</a>')
  const style = 'body{max-width:130ch;margin:2rem auto;padding:0 1rem}pre{white-space:pre-wrap}:target{background:#fe8}'
  return `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${name}</title><style>${style}</style><pre>${body}</pre>`
}
