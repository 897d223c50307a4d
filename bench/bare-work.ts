/**
 * What taking in spans cannot do without, and nothing else: unpacking, scanning, and writing to a file of the store, in
 * one thread and with nobody to answer. Measured beside the relay it says what a core is worth at the time. Told what to
 * do by BARE_WORK, and tells what it has measured.
 */
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { giveBack } from '../relay/give-back.ts'
import { chunkSizeOf } from '../relay/gzip-trailer.ts'
import { scan } from '../relay/scan/scan.ts'
import { openDatabase } from '../relay/store/database.ts'
import { type Load, MEASURED_S, WARM_UP_S } from './cost.ts'
import { bodiesOf } from './otlp-payload.ts'

/** Requests of one transaction: as many as come to the relay while it writes those before. */
const TOGETHER = 16

const { load, folder } = JSON.parse(process.env.BARE_WORK ?? '{}') as { load: Load; folder: string }
const bodies = bodiesOf(load)
const db = openDatabase(join(folder, 'bare.sqlite'), 'hour.sql', 'durable')
const insert = db.prepare('INSERT INTO request (received_at, encoding, traces, body) VALUES (?, ?, ?, ?)')

function take(body: Uint8Array): void {
  const plain = load.gzipped ? gunzipSync(body, { chunkSize: chunkSizeOf(body) }) : body
  const { traces } = scan(plain, load.encoding)
  if (load.gzipped) giveBack(plain)
  insert.run(0, load.encoding, traces, load.gzipped ? body : gzipSync(plain))
}

/** Takes one after another until so many seconds of CPU are over; returns spans a second. */
function rateWithin(seconds: number): number {
  const before = process.cpuUsage()
  const used = () => {
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1e6
  }
  let requests = 0
  while (used() < seconds) {
    db.exec('BEGIN IMMEDIATE')
    for (const end = requests + TOGETHER; requests < end; requests++)
      take(bodies[requests % bodies.length] as Uint8Array)
    db.exec('COMMIT')
  }
  return (requests * load.batch) / used()
}

rateWithin(WARM_UP_S)
process.send?.({ spansPerCpuSecond: Math.round(rateWithin(MEASURED_S)) })
db.close()
process.disconnect?.()
