/**
 * `npm run trace -- ID`: what the console says of a run, in a terminal, from the relay at RELAY_URL or its usual address.
 * Exit code 0 when the run worked or goes on, 1 when it failed or is not here, 2 when it was asked wrongly.
 */

import { styleText } from 'node:util'
import { type Diagnosis, diagnose, formatMs } from '../relay/console/diagnosis.ts'
import { shown } from '../relay/console/text.ts'
import { layOut } from '../relay/console/waterfall.ts'
import { WAKE } from '../relay/diagnosis.ts'
import type { Line } from '../relay/logbook.ts'
import type { StoredTrace } from '../relay/store/look-up.ts'
import { asSupport } from './support.ts'
import { drawWaterfall } from './terminal-waterfall.ts'

const relayUrl = process.env.RELAY_URL ?? 'http://127.0.0.1:4318'
const LIMIT_MS = 10_000

try {
  process.exitCode = await answer(process.argv.slice(2).join(''))
} catch (error) {
  const refused = error instanceof TypeError && error.message === 'fetch failed'
  console.error(`\n  ${refused ? `No relay answers at ${relayUrl}.\n\n    npm start` : (error as Error).message}\n`)
  process.exitCode = 1
}

async function answer(id: string): Promise<number> {
  if (id === '') {
    console.error(
      '\n  Which run? The full ID from the popup, or its first 8 or more digits.\n\n    npm run trace -- 4bf92f35\n',
    )
    return 2
  }
  const url = `${relayUrl}/api/traces/${encodeURIComponent(id)}`
  const response = await fetch(url, { headers: asSupport(relayUrl), signal: AbortSignal.timeout(LIMIT_MS) })
  if (!response.ok) {
    const { error } = (await response.json()) as { error: { message: string; candidates?: string[] } }
    const candidates = (error.candidates ?? []).map((candidate) => `\n    npm run trace -- ${candidate}`)
    console.error(`\n  ${error.message}${candidates.length > 0 ? '\n' : ''}${candidates.join('')}\n`)
    return response.status === 400 ? 2 : 1
  }
  const trace = (await response.json()) as StoredTrace
  const waterfall = layOut(trace)
  const diagnosis = diagnose(waterfall, { arriving: false, truncated: trace.truncated })
  console.log(`\n${told(diagnosis)}\n\n${drawWaterfall(waterfall, process.stdout)}\n`)
  const lines = await linesOf(url)
  const originMs = Number(waterfall.originNs / 1_000_000n)
  for (const line of lines) console.log(`  ${written(line, originMs)}`)
  if (lines.length > 0) console.log('')
  return diagnosis.state === 'failed' ? 1 : 0
}

/** What relay and server have logged about the run. */
async function linesOf(url: string): Promise<Line[]> {
  const response = await fetch(`${url}/log`, { headers: asSupport(relayUrl), signal: AbortSignal.timeout(LIMIT_MS) })
  return response.ok ? ((await response.json()) as { lines: Line[] }).lines : []
}

function written({ at, service, level, message, fields }: Line, originMs: number): string {
  const said = Object.entries(fields).map(([key, value]) => `${key}=${value}`)
  const words = [
    formatMs(at - originMs).padStart(8),
    service.replace(/^pass-ats-/, '').padEnd(7),
    level.padEnd(5),
    message,
  ]
  return shown([...words, ...said].join('  '))
}

/** The sentence, what stands behind it, and what to do. */
function told({ state, sentence, code, entry, findings }: Diagnosis): string {
  const colour = state === 'failed' ? 'red' : state === 'done' ? 'green' : 'yellow'
  const lines = [
    styleText(colour, shown(sentence), { stream: process.stdout }),
    ...(entry.meaning === sentence ? [] : [entry.meaning]),
    ...(code ? [`Code      ${shown(code, 60)}`] : []),
    `Wake      ${WAKE[entry.wake]}`,
    ...(entry.runbook ? [`Runbook   ops/alerts/${entry.runbook}`] : []),
    ...(entry.tell ? [`Tell      ${entry.tell}`] : []),
    ...findings.map((finding) => `Unusual   ${shown(finding)}`),
  ]
  return lines.map((line) => `  ${line}`).join('\n')
}
