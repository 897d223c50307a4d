/** The relay's address: checked, saved, tried. */

import { part } from '../pages.ts'
import { DEFAULT_RELAY_URL, readSettings, saveRelayUrl } from '../settings.ts'
import { checkRelayUrl } from './relay-url.ts'
import { say } from './status-line.ts'

const CHECK_TIMEOUT_MS = 5_000

const input = part('relay-url', HTMLInputElement)
const check = part('relay-check', HTMLButtonElement)
const status = part('relay-status', HTMLElement)

/** Shows the saved address and answers its buttons from then on. */
export async function startRelayForm(): Promise<void> {
  input.value = (await readSettings()).relayUrl
  part('relay-save', HTMLButtonElement).addEventListener('click', save)
  check.addEventListener('click', tryConnection)
  part('relay-reset', HTMLButtonElement).addEventListener('click', () => {
    input.value = DEFAULT_RELAY_URL
    return save()
  })
  input.addEventListener('input', () => {
    input.removeAttribute('aria-invalid')
    say(status, 'plain', '')
  })
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') save()
  })
}

async function save(): Promise<void> {
  const origin = typedOrigin()
  if (!origin) return
  try {
    await saveRelayUrl(origin)
    input.value = origin
    say(status, 'ok', `Saved: ${origin}`)
  } catch {
    say(status, 'failed', 'Not saved: the browser did not take it. Try again.')
  }
}

/** Asks the address as typed, saved or not: the moment to find a mistake is before saving it. */
async function tryConnection(): Promise<void> {
  const origin = typedOrigin()
  if (!origin) return
  check.disabled = true
  say(status, 'plain', `Asking ${origin} …`)
  const startedAt = performance.now()
  try {
    const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS)
    const { ok, status: code } = await fetch(`${origin}/healthz`, { signal, cache: 'no-store', credentials: 'omit' })
    const took = `${Math.round(performance.now() - startedAt)} ms`
    if (ok) say(status, 'ok', `Connected: the relay answered in ${took}.`)
    else say(status, 'failed', `Something answers at ${origin}, but it is not a healthy relay (HTTP ${code}).`)
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError'
    const words = late ? 'No answer within 5 seconds' : 'Nothing we can reach'
    say(status, 'failed', `${words} at ${origin}. Check the address, and that the relay is running.`)
  } finally {
    check.disabled = false
    check.focus() // disabling it took the focus away
  }
}

/** The address as typed, or undefined after saying what is wrong with it. */
function typedOrigin(): string | undefined {
  const { origin, problem } = checkRelayUrl(input.value)
  if (origin) return origin
  input.setAttribute('aria-invalid', 'true')
  input.focus()
  say(status, 'failed', `The address ${problem}.`)
  return undefined
}
