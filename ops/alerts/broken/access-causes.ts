/** Requests that show what they should not, or nothing. */

import { randomBytes } from 'node:crypto'
import { createTokens } from '../../../relay/access/tokens.ts'
import type { Stack } from '../../stack.ts'
import { over, traceId } from './caller.ts'
import type { Cause } from './cause.ts'

const AT_ONCE = 20
const TWO_HOURS_MS = 7_200_000

/** `secret`: what the relay signs with. */
export async function accessCauses({ relayUrl, serverUrl }: Stack, secret: string): Promise<Cause[]> {
  const install = () => ({ id: crypto.randomUUID(), synthetic: undefined })
  const { token: expired } = await createTokens([secret], () => Date.now() - TWO_HOURS_MS).issue(install())
  const { token: forged } = await createTokens([randomBytes(32).toString('hex')], Date.now).issue(install())
  const bad =
    (headers: Record<string, string>, url = relayUrl) =>
    (signal: AbortSignal) =>
      over(signal, AT_ONCE, async () => {
        await (await fetch(`${url}/runs/${traceId()}/events`, { headers })).text()
      })
  return [
    {
      what: 'tokens that expired two hours ago',
      alerts: [['TokensExpire'], ['MostRequestsRefused'], ['AuthBurst']],
      provoke: bad({ authorization: `Bearer ${expired}` }),
    },
    {
      what: 'tokens that the relay has not signed',
      alerts: [['TokensForged', { reason: 'token_forged' }]],
      provoke: bad({ authorization: `Bearer ${forged}` }),
    },
    {
      what: 'requests of a web page',
      alerts: [['TokensForged', { reason: 'origin_not_allowed' }]],
      provoke: bad({ origin: 'https://pages.example' }),
    },
    {
      what: 'requests that go around the relay',
      alerts: [['TokensForged', { reason: 'relay_key_refused' }]],
      provoke: bad({}, serverUrl),
    },
  ]
}
