/**
 * OpenTelemetry's SDK for Python as a client: its serializer and its HTTP are nothing of ours, nor of JavaScript's. Only
 * where it is installed: no package of Debian has it (`pip install opentelemetry-exporter-otlp-proto-http`).
 */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { getRequestListener } from '@hono/node-server'
import { expect, test } from 'vitest'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_COMPILE_SANDBOXED,
  ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  ATTR_PDF_PAGES,
  EVENT_EXCEPTION,
  SPAN_COMPILE,
} from '../names.ts'
import { createApp } from './app.ts'
import { spansOf } from './otlp.ts'
import { AS_SERVICE, listen, sampleParts, temporaryStore } from './sample-run.ts'

const SENDER = fileURLToPath(new URL('../fixtures/relay/sender.py', import.meta.url))
const GIVEN = JSON.stringify({
  headers: AS_SERVICE,
  name: SPAN_COMPILE,
  event: EVENT_EXCEPTION,
  attributes: {
    [ATTR_PDF_PAGES]: 1,
    [ATTR_COMPILE_SANDBOXED]: true,
    [ATTR_GEN_AI_RESPONSE_FINISH_REASONS]: ['x', 'y'],
    [ATTR_COMPILE_CPU_TIME]: 1.5,
  },
})
const isInstalled = spawnSync('python3', ['-c', 'import opentelemetry.exporter.otlp.proto.http']).status === 0

test.runIf(isInstalled).each(['none', 'gzip', 'deflate'])(
  'OpenTelemetry’s SDK for Python sends with compression %s: what is taken is found, and what is not is refused',
  async (compression) => {
    const store = temporaryStore()
    const app = createApp(sampleParts(store))
    const url = `${await listen(getRequestListener(app.fetch))}/v1/traces`
    const sent = await promisify(execFile)('python3', [SENDER, url, compression, GIVEN])
    const [traceId = '', spanId] = sent.stdout.trim().split(' ')
    const found = [...spansOf(store.trace(traceId))]
    if (compression === 'deflate') {
      // OTLP asks receivers for gzip only.
      expect(found).toEqual([])
      expect(sent.stderr).toContain('415')
      return
    }
    expect(sent.stderr).toBe('')
    expect(found).toMatchObject([{ traceId, spanId, name: SPAN_COMPILE, events: [{ name: EVENT_EXCEPTION }] }])
    expect(found[0]?.attributes).toHaveLength(4)
  },
)
