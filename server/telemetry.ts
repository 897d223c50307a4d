/**
 * Starts the OpenTelemetry SDK; `node --import ./server/telemetry.ts` runs it before anything else is loaded, which
 * is what auto-instrumentation needs. Spans live where the work is, not here.
 */

import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node'
import {
  CompositePropagator,
  getBooleanFromEnv,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from '@opentelemetry/core'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { AlwaysOnSampler, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { ClosedListProcessor } from '../closed-list.ts'
import {
  RESOURCE_SERVICE_INSTANCE_ID,
  RESOURCE_SERVICE_NAME,
  RESOURCE_SERVICE_VERSION,
  SERVICE_SERVER,
} from '../names.ts'
import packageJson from '../package.json' with { type: 'json' }
import { SyntheticProcessor } from '../synthetic.ts'
import { allowInstrumentations, readConfig } from './config.ts'
import { ParentsFirst } from './parents-first.ts'

// The SDK heeds its own variable when it starts; what patches node:http would stand all the same.
const isOff = getBooleanFromEnv('OTEL_SDK_DISABLED') ?? false

allowInstrumentations('http', 'undici')

const UNTRACED = new Set(['/healthz', '/readyz'])

const relay = readConfig(process.env).otlpEndpoint.replace(/\/$/, '')
const exporter = new OTLPTraceExporter({ url: `${relay}/v1/traces`, timeoutMillis: 5_000 })
const lines = new OTLPLogExporter({ url: `${relay}/v1/logs`, timeoutMillis: 5_000 })

const sdk = new NodeSDK({
  // No detectors: host and process attributes are not in the closed list.
  autoDetectResources: false,
  resource: resourceFromAttributes({
    [RESOURCE_SERVICE_NAME]: SERVICE_SERVER,
    [RESOURCE_SERVICE_VERSION]: packageJson.version,
    [RESOURCE_SERVICE_INSTANCE_ID]: randomUUID(),
  }),
  // The browser decides what is kept; here everything is recorded.
  sampler: new AlwaysOnSampler(),
  textMapPropagator: new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  }),
  spanProcessors: [
    new SyntheticProcessor(),
    new ClosedListProcessor(),
    // Half a second: support looks a run up while the person is still on the line.
    new ParentsFirst(
      new BatchSpanProcessor(exporter, { scheduledDelayMillis: 500, maxQueueSize: 4_096, exportTimeoutMillis: 5_000 }),
    ),
  ],
  metricReaders: [],
  logRecordProcessors: [
    new BatchLogRecordProcessor({ exporter: lines, scheduledDelayMillis: 500, maxQueueSize: 2_048 }),
  ],
  instrumentations: isOff
    ? []
    : getNodeAutoInstrumentations({
        '@opentelemetry/instrumentation-http': {
          ignoreIncomingRequestHook: (request) => UNTRACED.has(request.url ?? ''),
          // Outgoing calls go through fetch (undici); what node:http sends is the exporter's own.
          disableOutgoingRequestInstrumentation: true,
        },
      }),
})

sdk.start()

// Patched when it is required, and for those who import it, too: there is one Server. The hook for imported modules would be
// a thread more, for which this one stands still whenever anything is resolved, as pdf.js does with each document.
if (!isOff) createRequire(import.meta.url)('node:http')

/** Exports what is left, waiting at most two seconds for a relay that may be gone. */
export async function stopTelemetry(): Promise<void> {
  await Promise.race([sdk.shutdown(), new Promise((resolve) => setTimeout(resolve, 2_000).unref())])
}
