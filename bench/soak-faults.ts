/** What goes wrong around a stack for some seconds, and what kills a part of it; one after another. */

import { setTimeout as delay } from 'node:timers/promises'
import type { OpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { type startBackend, TAKEN, type Treatment } from '../fixtures/relay/backend.ts'
import type { wireTo } from '../fixtures/relay/wire.ts'
import type { Stack } from '../ops/stack.ts'

const FAULT_MS = 6_000
const BETWEEN_MS = 18_000
/** How often a wire is cut while it is bad: more often than a run takes. */
const CUT_EVERY_MS = 300

export interface Fault {
  name: string
  begin(): unknown
  end(): unknown
}

export interface Around {
  model: OpenAiEndpoint
  backend: Awaited<ReturnType<typeof startBackend>>
  /** From people to the relay, and from the relay to the server. */
  entrance: Awaited<ReturnType<typeof wireTo>>
  between: Awaited<ReturnType<typeof wireTo>>
}

/** Nobody dies of these. */
export function faultsAround({ model, backend, entrance, between }: Around): Fault[] {
  const bad = (name: string, answer: Treatment['answer']): Fault => ({
    name: `backend: ${name}`,
    begin: () => backend.treatAs(() => ({ taken: false, answer })),
    end: () => backend.treatAs(() => TAKEN),
  })
  const ill = (behaviour: OpenAiEndpoint['behaviour']): Fault => ({
    name: `model: ${behaviour}`,
    begin: () => {
      model.behaviour = behaviour
    },
    end: () => {
      model.behaviour = 'ok'
    },
  })
  const cutting = (name: string, wire: Around['entrance']): Fault => {
    let timer: ReturnType<typeof setInterval> | undefined
    return {
      name: `wire cut again and again: ${name}`,
      begin: () => {
        timer = setInterval(wire.cut, CUT_EVERY_MS)
      },
      end: () => clearInterval(timer),
    }
  }
  const gone = (name: string, wire: Around['entrance']): Fault => ({
    name: `wire gone: ${name}`,
    begin: wire.close,
    end: wire.reopen,
  })
  return [
    bad('503', { status: 503, headers: { 'retry-after': '1' } }),
    ill('stalled'),
    cutting('people to relay', entrance),
    bad('silent', 'silence'),
    ill('reset_midway'),
    cutting('relay to server', between),
    bad('reset', 'reset'),
    ill('error_503'),
    gone('people to relay', entrance),
    gone('relay to server', between),
  ]
}

/** SIGKILL, and some seconds until another one is there. */
export function kills(stack: Stack): Fault[] {
  return [
    { name: 'server killed', begin: stack.killServer, end: stack.restartServer },
    { name: 'relay killed', begin: stack.killRelay, end: stack.restartRelay },
  ]
}

export interface Happened {
  name: string
  /** Epoch milliseconds. */
  from: number
  to: number
}

/** Lets them happen in turn for so long, and tells in `happened` what has. */
export async function inTurn(faults: readonly Fault[], forMs: number, happened: Happened[]): Promise<void> {
  const until = Date.now() + forMs
  for (let index = 0; ; index++) {
    await delay(Math.min(BETWEEN_MS, Math.max(0, until - Date.now())))
    const fault = faults[index % faults.length]
    if (!fault || Date.now() + FAULT_MS > until) break
    const from = Date.now()
    await fault.begin()
    await delay(FAULT_MS)
    await fault.end()
    happened.push({ name: fault.name, from, to: Date.now() })
  }
  await delay(Math.max(0, until - Date.now()))
}
