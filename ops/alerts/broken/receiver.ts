/** An endpoint of somebody else's, for webhooks or for spans, that fails as it is told. */

import { openEndpoint } from '../../../fixtures/endpoint.ts'

const STATUSES = { well: 200, 'with errors': 500, 'with refusals': 400, 'that it is gone': 410 }
type Answering = keyof typeof STATUSES | 'never'

/** An endpoint of somebody else's, that answers as it is told. */
export async function startReceiver(closing: (() => unknown)[]) {
  let answering: Answering = 'well'
  const endpoint = await openEndpoint((request, response) => {
    request.resume()
    request.on('end', () => {
      if (answering === 'never') return
      response.writeHead(STATUSES[answering]).end()
    })
  })
  closing.push(endpoint.close)
  return {
    url: `${endpoint.url}/v1/traces`,
    answer(how: Answering) {
      answering = how
      if (how !== 'never') endpoint.hangUp()
    },
    close: endpoint.close,
  }
}
