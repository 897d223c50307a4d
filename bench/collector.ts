/** The OpenTelemetry Collector under the same load, for who has one: `OTELCOL=path npm run bench -- ingest`. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openEndpoint } from '../fixtures/endpoint.ts'
import { freePort } from '../ops/free-port.ts'
import { type Cost, costOf, headersOf, inFolder, type Load } from './cost.ts'
import { startPinned } from './pinned-process.ts'

/** It passes on what came; or it also samples it by whole traces, as the relay does. */
export type Duty = 'collector' | 'sampling-collector'
/** Where everything goes; what is kept goes to another path. */
const TO_STORE = '/store'
const START_MS = 20_000
const LOOK_EVERY_MS = 50

/** Measures the Collector at `path`, whose queue is drained when its backend has everything. */
export async function measureCollector(duty: Duty, path: string, load: Load, bodies: Uint8Array[]): Promise<Cost> {
  return inFolder(async (folder) => {
    let delivered = 0
    const backend = await openEndpoint((request, response) => {
      request.resume().on('end', () => {
        if (request.url === TO_STORE) delivered += 1
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
      })
    })
    const endpoint = `127.0.0.1:${await freePort()}`
    await mkdir(join(folder, 'store'))
    const collector = await startPinned([path, '--config', fileURLToPath(new URL(`${duty}.yaml`, import.meta.url))], {
      cwd: folder,
      logPath: join(folder, 'log'),
      env: {
        BENCH_ENDPOINT: endpoint,
        BENCH_STORAGE: join(folder, 'store'),
        BENCH_BACKEND: backend.url,
      },
    })
    const url = `http://${endpoint}/v1/traces`
    const drained = async (requests: number) => {
      while (delivered < requests) await delay(LOOK_EVERY_MS)
    }
    try {
      return await costOf(collector, answering(url), load, { headers: headersOf(load), bodies, folder, drained })
    } finally {
      await backend.close()
    }
  })
}

/** Throws an Error when it does not answer in time. */
async function answering(url: string): Promise<string> {
  for (const end = performance.now() + START_MS; performance.now() < end; await delay(LOOK_EVERY_MS)) {
    if (await fetch(url).then(Boolean, () => false)) return url
  }
  throw new Error('The Collector does not answer.')
}
