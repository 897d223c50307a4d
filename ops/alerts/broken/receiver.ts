/** An endpoint of somebody else's, for webhooks or for spans, that fails as it is told. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const STATUSES = { well: 200, 'with errors': 500, 'with refusals': 400, 'that it is gone': 410 }
type Answering = keyof typeof STATUSES | 'never'

/** An endpoint of somebody else's, that answers as it is told. */
export async function startReceiver(closing: (() => unknown)[]) {
  let answering: Answering = 'well'
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      if (answering === 'never') return
      response.writeHead(STATUSES[answering]).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  closing.push(close)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    answer(how: Answering) {
      answering = how
      if (how !== 'never') server.closeAllConnections()
    },
    close,
  }
}
