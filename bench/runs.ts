/** Runs one after another: what they leave behind in the server, and what writing them down costs. */

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeOnSignal } from '../ops/closing.ts'
import { newRunClient } from '../ops/run-client.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { openDatabase } from '../server/database.ts'
import { RunStore } from '../server/run-store.ts'
import type { Measured } from './bench.ts'
import { heldBy } from './held.ts'
import { median } from './median.ts'
import { atMost, none } from './target.ts'

/** After so many a process has everything open that it keeps, and its heap has its size. */
const WARM_UP = 20
const POSTING = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }

export interface Held {
  /** Open files and pipes. */
  handles: number
  /** Processes it has started that are still there. */
  children: number
  /** Folders of compilations. */
  jobs: number
  residentMiB: number
}

/** Makes the runs, and tells what the server holds before and after. All of them must end in a PDF. */
export async function runSequentially(runs: number, warmUp = WARM_UP) {
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-runs-'))
  const forget = closeOnSignal(() => rm(temporary, { recursive: true, force: true }))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env: { TMPDIR: temporary } })
  try {
    const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8'))
    const client = await newRunClient(stack.relayUrl)
    const make = async () => {
      const startedAt = performance.now()
      const { id, events } = await client.run({ profile, posting: POSTING })
      if (events.at(-1)?.type !== 'done') throw new Error(`The run ${id} failed: ${JSON.stringify(events.at(-1))}`)
      await client.pdfBytes(id)
      return performance.now() - startedAt
    }
    for (let run = 0; run < warmUp; run++) await make()
    const before = await heldWith(stack, temporary)
    const times: number[] = []
    const residentMiB: number[] = []
    for (let run = 1; run <= runs; run++) {
      times.push(await make())
      if (run % Math.ceil(runs / 20) === 0) residentMiB.push((await heldWith(stack, temporary)).residentMiB)
    }
    const after = await heldWith(stack, temporary)
    return { before, after, residentMiB, medianMs: median(times) }
  } finally {
    await stack.stop()
    forget()
    await rm(temporary, { recursive: true, force: true })
  }
}

async function heldWith({ server }: Stack, temporary: string): Promise<Held> {
  const { files, children, residentMiB } = await heldBy(server.pid ?? 0)
  const jobs = (await readdir(temporary)).filter((name) => name.startsWith('pass-ats-compile-'))
  // Not sockets: connections to the relay come and go with the time between two exports.
  return { handles: files, children, jobs: jobs.length, residentMiB }
}

/** What a run's two writes take of the server's one thread, milliseconds. */
async function writingMs(runs: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-run-store-'))
  const db = openDatabase(folder)
  try {
    const store = new RunStore(db)
    const events = Array.from({ length: 9 }, () => ({ type: 'stage', stage: 'llm', state: 'started' }) as const)
    const times: number[] = []
    for (let run = 1; run <= runs; run++) {
      const id = `${run}`.padStart(32, '0')
      const startedAt = performance.now()
      store.begin({ id, owner: id, attempt: 1, firstId: 1, startedAt: run, events: undefined })
      store.end({ id, firstId: 1 }, events, run, () => {})
      times.push(performance.now() - startedAt)
    }
    return median(times)
  } finally {
    db.close()
    await rm(folder, { recursive: true })
  }
}

export async function benchRuns(runs: number): Promise<Measured> {
  const { before, after, residentMiB, medianMs } = await runSequentially(runs)
  const half = residentMiB.length / 2
  const leaked = Math.min(...residentMiB.slice(half)) / Math.min(...residentMiB.slice(0, half))
  const writing = await writingMs(Math.max(200, runs))
  return {
    results: { runs, before, after, residentMiB, medianMs, writingMs: writing },
    targets: [
      atMost('handles more than before the runs', after.handles - before.handles, 2),
      none('processes left', after.children),
      none('folders of compilations left', after.jobs),
      // Resident memory goes up and down with the garbage collector; what leaks raises the least of it.
      atMost('least resident memory of the second half, times that of the first', leaked, 1.15),
      atMost('what writing a run down takes, part of the run', writing / medianMs, 0.01),
    ],
  }
}
