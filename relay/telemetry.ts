/**
 * Starts OpenTelemetry before anything else is loaded: `node --import ./relay/telemetry.ts relay/main.ts`.
 *
 * Only starts and stops the SDK; spans are made where the work is. What the relay records of itself takes the same way
 * in as everybody's spans, in-process, because over HTTP every export would be a request to trace and export.
 */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node'
import {
  CompositePropagator,
  type ExportResult,
  ExportResultCode,
  getBooleanFromEnv,
  W3CTraceContextPropagator,
} from '@opentelemetry/core'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { ClosedListProcessor } from '../closed-list.ts'
import {
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  RESOURCE_SERVICE_INSTANCE_ID,
  RESOURCE_SERVICE_NAME,
  RESOURCE_SERVICE_VERSION,
  SERVICE_RELAY,
} from '../names.ts'
import manifest from '../package.json' with { type: 'json' }
import { SyntheticProcessor } from '../synthetic.ts'
import { AllowedBaggagePropagator } from './baggage.ts'
import { allowInstrumentations } from './config.ts'
import { isProxied } from './proxy.ts'

/** Takes a serialized OTLP request (protobuf, not compressed). */
export type Sink = (body: Uint8Array) => Promise<unknown>

// The SDK heeds its own variable when it starts; what patches node:http would stand all the same.
const isOff = getBooleanFromEnv('OTEL_SDK_DISABLED') ?? false
allowInstrumentations('http', 'undici')

let sink: Sink | undefined
const inFlight = new Set<Promise<unknown>>()

const exporter: SpanExporter = {
  export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
    const body = ProtobufTraceSerializer.serializeRequest(spans)
    const stored = body && sink ? sink(body) : Promise.reject(new Error('Nowhere to keep spans yet.'))
    const settled = stored.then(
      () => done({ code: ExportResultCode.SUCCESS }),
      (error) => done({ code: ExportResultCode.FAILED, error }),
    )
    inFlight.add(settled)
    settled.finally(() => inFlight.delete(settled))
  },
  forceFlush: async () => void (await Promise.all(inFlight)),
  shutdown: async () => void (await Promise.all(inFlight)),
}
const batches = new BatchSpanProcessor(exporter, { scheduledDelayMillis: 500 })

const sdk = new NodeSDK({
  // The extension decides what is kept; here everything is recorded.
  sampler: new AlwaysOnSampler(),
  resource: defaultResource().merge(
    resourceFromAttributes({
      [RESOURCE_SERVICE_NAME]: SERVICE_RELAY,
      [RESOURCE_SERVICE_VERSION]: manifest.version,
      [RESOURCE_SERVICE_INSTANCE_ID]: randomUUID(),
    }),
  ),
  // No detectors: host name, user, command line and process owner are nobody's business.
  autoDetectResources: false,
  textMapPropagator: new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new AllowedBaggagePropagator()],
  }),
  spanProcessors: [new SyntheticProcessor(), new ClosedListProcessor(), batches],
  // Empty, not left out: by default the SDK would send metrics and logs to port 4318, which is this relay.
  metricReaders: [],
  logRecordProcessors: [],
  instrumentations: isOff
    ? []
    : getNodeAutoInstrumentations({
        '@opentelemetry/instrumentation-http': {
          disableOutgoingRequestInstrumentation: true,
          // Not ingest, health or look-up, and no preflights: only what is part of a run.
          ignoreIncomingRequestHook: (request) => !isProxied(request.method, request.url),
          // Who left before the response was begun: the status 200 that stands in it by default was never sent.
          applyCustomAttributesOnSpan: (span, _request, response) => {
            if ('headersSent' in response && !response.headersSent)
              span.setAttributes({ [ATTR_HTTP_RESPONSE_STATUS_CODE]: undefined })
          },
        },
      }),
})
sdk.start()

// Patched when it is required, and for those who import it, too: there is one Server. fetch is observed through
// diagnostics_channel. The hook for imported modules would be a thread more that everything resolved waits for.
if (!isOff) createRequire(import.meta.url)('node:http')

/** Says where the relay's own spans go; without it they are dropped. */
export function keepSpansIn(newSink: Sink): void {
  sink = newSink
}

/** Resolves when every span that has ended is stored, or could not be. Never throws. */
export async function flushSpans(): Promise<void> {
  // Twice: the SDK forgets a batch that its own timer has just handed over.
  await batches.forceFlush().catch(() => {})
  await Promise.all(inFlight)
}

/** Flushes and stops. Never throws. */
export async function stopTelemetry(): Promise<void> {
  await sdk.shutdown().catch(() => {})
}
