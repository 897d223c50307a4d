/**
 * `npm run relay -- dead-letters [list | show ID | replay ID | replay all | drop ID | drop all]`: what the backend behind
 * the relay has refused for good. Works beside a running relay and without one, with the same environment.
 */

import { randomUUID } from 'node:crypto'
import { readConfig } from '../relay/config.ts'
import { openDeadLetters } from '../relay/forward/dead-letters.ts'
import { createSend } from '../relay/forward/destination.ts'

type Letters = ReturnType<typeof openDeadLetters>

const USAGE = `Usage: npm run relay -- dead-letters [COMMAND]

  list          what the backend has refused, oldest first (the default)
  show ID       one of them as OTLP JSON
  replay ID     sends it once more, to the endpoint configured now; it goes when it is taken
  replay all    the same with all of them
  drop ID       lets it go
  drop all      lets all of them go`

const [topic, command = 'list', which] = process.argv.slice(2)

try {
  process.exitCode = topic === 'dead-letters' ? await answer() : complain()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** The exit code: 2 when it was asked wrongly, 1 when there is no such letter, or the backend has not taken it. */
async function answer(): Promise<number> {
  const letters = openDeadLetters(readConfig().storePath)
  try {
    if (command === 'list' && which === undefined) return list(letters)
    const ids = which === 'all' && command !== 'show' ? letters.list().map(({ id }) => id) : [Number(which)]
    if (!ids.every((id) => Number.isInteger(id) && id > 0)) return complain()
    if (command === 'show') return show(letters, ids[0] ?? 0)
    if (command === 'replay') return await replay(letters, ids)
    if (command === 'drop') return drop(letters, ids)
    return complain()
  } finally {
    letters.close()
  }
}

function complain(): number {
  console.error(USAGE)
  return 2
}

function list(letters: Letters): number {
  const all = letters.list()
  if (all.length === 0) console.log('No dead letters.')
  for (const { id, refusedAt, status, spans, bytes, destination, reason } of all) {
    const said = reason.replace(/\s+/g, ' ').slice(0, 120)
    console.log(
      `${id}  ${new Date(refusedAt).toISOString()}  ${status}  ${spans} spans, ${bytes} bytes  ${destination}  ${said}`,
    )
  }
  return 0
}

function show(letters: Letters, id: number): number {
  const data = letters.show(id)
  if (!data) return missing(id)
  console.log(JSON.stringify(data, null, 2))
  return 0
}

async function replay(letters: Letters, ids: number[]): Promise<number> {
  const { forward } = readConfig()
  if (!forward) throw new Error('There is nowhere to send them: OTEL_EXPORTER_OTLP_ENDPOINT is not set.')
  const send = createSend(forward, randomUUID(), new AbortController().signal)
  let code = 0
  for (const id of ids) {
    const outcome = await letters.replay(id, send)
    if (!outcome) code = missing(id)
    else if (outcome.kind === 'taken') console.log(`${id}  taken`)
    else {
      code = 1
      console.log(`${id}  ${outcome.kind === 'refused' ? `refused: ${outcome.status}` : `failed: ${outcome.why}`}`)
      // Nobody answers, so that the others would fail as well.
      if (outcome.kind === 'failed') break
    }
  }
  return code
}

function drop(letters: Letters, ids: number[]): number {
  return ids.reduce((code, id) => (letters.drop(id) ? code : missing(id)), 0)
}

function missing(id: number): number {
  console.error(`There is no dead letter ${id}.`)
  return 1
}
