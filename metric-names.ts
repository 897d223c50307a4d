/**
 * Every metric of relay, server and synthetic checks, once, each with what it says and what its labels may be.
 *
 * A leaf: it imports nothing. Beside `names.ts`, because what is listed there may leave the browser, and this is of
 * services only. Tests fail on a metric that nobody observes, and on a dashboard or an alert that asks for another.
 *
 * Sources: OpenTelemetry semantic conventions (HTTP, GenAI) in Prometheus' spelling; our own begin with `pass_`.
 */

/**
 * How often a process looks how late its timers are, milliseconds; what `nodejs_eventloop_lag_*` tells has this in it. The
 * Prometheus client's 10 is nearly all that a process with nothing to do uses; what keeps the loop for less than this may go unseen.
 */
export const LAG_EVERY_MS = 50

/** Seconds, of HTTP requests: the buckets that the HTTP conventions advise. */
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const
/** Seconds, of a model's answers: the buckets that the GenAI conventions advise. */
const GEN_AI_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] as const
/** Seconds, of a run's stages. */
const STAGE_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60] as const
/** Seconds, from the click to the PDF. */
const RUN_SECONDS = [1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120] as const
const TOKENS = [
  1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
] as const
const TOKENS_A_SECOND = [5, 10, 20, 40, 80, 160, 320] as const
const MEBIBYTES = [32, 64, 96, 128, 160, 192, 256, 384, 512, 768, 1024].map((mebibytes) => mebibytes * 1_048_576)
const PDF_BYTES = [8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576, 2_097_152, 4_194_304] as const
const PAGES = [1, 2, 3, 4] as const

/** Whether a synthetic check caused it: objectives and alerts count `false` only. */
const SYNTHETIC = ['true', 'false'] as const
const METHODS = ['GET', 'POST', 'DELETE', 'OPTIONS'] as const
/** Whatever our services answer with; listed, so that nobody's requests can make a 500 become `other`. 499: has left. */
const STATUSES = [
  ...['200', '201', '202', '204', '400', '401', '403', '404', '405', '408', '409', '413', '415', '422', '429', '499'],
  ...['500', '501', '502', '503', '504'],
] as const
/** Codes of failures that a request to a model may end in; none for one that was answered. */
const LLM_ERRORS = [
  '',
  'llm_unauthorized',
  'llm_misconfigured',
  'llm_rate_limited',
  'llm_unavailable',
  'llm_error',
  'llm_timeout',
  'llm_refused',
  'llm_invalid_output',
  'request_too_large',
  'overloaded',
  'interrupted',
  'cancelled',
] as const
const PDF_CHECKS = [
  'size',
  'readable',
  'pages',
  'fonts_embedded',
  'text',
  'text_on_page',
  'links',
  'outline',
  'title',
  'language',
] as const
/** The stages of a run, wherever they happen, in order. `request` is from the click to the request to the server. */
const STAGES = ['extract', 'request', 'queue', 'llm', 'latex', 'compile', 'validate', 'deliver'] as const
const OUTCOMES = ['ok', 'failed', 'cancelled'] as const

/**
 * What a metric is. A label's values are listed, or so many at most as the number says, those that come first; any other
 * becomes `other`, and is counted. Names are OpenTelemetry's where its conventions have one, in Prometheus' spelling.
 */
export interface Metric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  labels: Record<string, readonly string[] | number>
  buckets?: readonly number[]
}

/** Every metric, once. */
export const METRICS = {
  httpDuration: {
    name: 'http_server_request_duration_seconds',
    help: 'Seconds from a request to the end of its answer, streams included.',
    type: 'histogram',
    labels: { http_request_method: METHODS, http_route: 32, http_response_status_code: STATUSES, synthetic: SYNTHETIC },
    buckets: HTTP_SECONDS,
  },
  httpActive: {
    name: 'http_server_active_requests',
    help: 'Requests that are being answered.',
    type: 'gauge',
    labels: { http_request_method: METHODS },
  },
  sseConnections: {
    name: 'pass_sse_connections',
    help: 'Event streams that are open.',
    type: 'gauge',
    labels: {},
  },
  sseEvents: {
    name: 'pass_sse_events_total',
    help: 'Events sent on streams.',
    type: 'counter',
    labels: { event: ['queued', 'stage', 'writing', 'done', 'failed'] },
  },
  sseDuration: {
    name: 'pass_sse_connection_duration_seconds',
    help: 'Seconds for which a stream was open, by why it ended.',
    type: 'histogram',
    labels: { close_reason: ['finished', 'client_disconnected', 'server_shutdown'] },
    buckets: STAGE_SECONDS,
  },
  llmDuration: {
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'Seconds from a request to a model to the end of its answer, or to its failure.',
    type: 'histogram',
    labels: {
      gen_ai_operation_name: ['chat'],
      gen_ai_provider_name: 4,
      gen_ai_request_model: 6,
      error_type: LLM_ERRORS,
      synthetic: SYNTHETIC,
    },
    buckets: GEN_AI_SECONDS,
  },
  llmFirstChunk: {
    name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
    help: 'Seconds from a request to a model to the first piece of its answer.',
    type: 'histogram',
    labels: { gen_ai_operation_name: ['chat'], gen_ai_provider_name: 4, gen_ai_request_model: 6, synthetic: SYNTHETIC },
    buckets: GEN_AI_SECONDS,
  },
  llmTokens: {
    name: 'gen_ai_client_token_usage',
    help: 'Tokens of one request to a model, read or written.',
    type: 'histogram',
    labels: {
      gen_ai_operation_name: ['chat'],
      gen_ai_provider_name: 4,
      gen_ai_request_model: 6,
      gen_ai_token_type: ['input', 'output'],
      synthetic: SYNTHETIC,
    },
    buckets: TOKENS,
  },
  llmSpeed: {
    name: 'pass_llm_output_tokens_per_second',
    help: 'Tokens that a model wrote a second, of one answer.',
    type: 'histogram',
    labels: { gen_ai_request_model: 6, synthetic: SYNTHETIC },
    buckets: TOKENS_A_SECOND,
  },
  stageDuration: {
    name: 'pass_stage_duration_seconds',
    help: 'Seconds that a stage of a run took, without the wait for its turn, which is the stage "queue"; every run.',
    type: 'histogram',
    labels: { stage: STAGES, outcome: OUTCOMES, synthetic: SYNTHETIC },
    buckets: STAGE_SECONDS,
  },
  runDuration: {
    name: 'pass_e2e_duration_seconds',
    help: 'Seconds from the click to the PDF in the browser, or to the failure that the person sees; every run.',
    type: 'histogram',
    labels: { outcome: OUTCOMES, synthetic: SYNTHETIC },
    buckets: RUN_SECONDS,
  },
  runs: {
    name: 'pass_runs_total',
    help: 'Runs that have ended, by outcome and failure code, "none" for those that worked; interrupted ones each time.',
    type: 'counter',
    labels: { outcome: OUTCOMES, failure_code: 50, synthetic: SYNTHETIC },
  },
  runsActive: {
    name: 'pass_runs_active',
    help: 'Runs under way, waiting ones included.',
    type: 'gauge',
    labels: {},
  },
  latexDuration: {
    name: 'pass_latex_render_duration_seconds',
    help: 'Seconds in which a resume became LaTeX.',
    type: 'histogram',
    labels: { template: ['resume', 'own'], outcome: ['ok', 'failed'], synthetic: SYNTHETIC },
    buckets: HTTP_SECONDS,
  },
  compileDuration: {
    name: 'pass_tectonic_compile_duration_seconds',
    help: 'Seconds that Tectonic ran, by how it ended.',
    type: 'histogram',
    labels: {
      outcome: [
        'ok',
        'latex_error',
        'unsupported_character',
        'timeout',
        'out_of_memory',
        'output_too_large',
        'crash',
        'unavailable',
        'interrupted',
      ],
      synthetic: SYNTHETIC,
    },
    buckets: STAGE_SECONDS,
  },
  compileMemory: {
    name: 'pass_tectonic_compile_max_rss_bytes',
    help: 'Most memory that one Tectonic process held.',
    type: 'histogram',
    labels: { synthetic: SYNTHETIC },
    buckets: MEBIBYTES,
  },
  compileCpu: {
    name: 'pass_tectonic_cpu_seconds_total',
    help: 'Seconds of CPU that Tectonic processes used.',
    type: 'counter',
    labels: { synthetic: SYNTHETIC },
  },
  compileWaiting: {
    name: 'pass_tectonic_queue_depth',
    help: 'Compilations that wait for their turn.',
    type: 'gauge',
    labels: {},
  },
  pdfValidations: {
    name: 'pass_pdf_validations_total',
    help: 'Checks of finished PDFs.',
    type: 'counter',
    labels: { check: PDF_CHECKS, outcome: ['passed', 'failed'], synthetic: SYNTHETIC },
  },
  pdfValidationDuration: {
    name: 'pass_pdf_validation_duration_seconds',
    help: 'Seconds in which a PDF was opened and checked.',
    type: 'histogram',
    labels: { outcome: ['passed', 'failed'], synthetic: SYNTHETIC },
    buckets: HTTP_SECONDS,
  },
  pdfSize: {
    name: 'pass_pdf_size_bytes',
    help: 'Bytes of a PDF, delivered or not.',
    type: 'histogram',
    labels: { synthetic: SYNTHETIC },
    buckets: PDF_BYTES,
  },
  pdfPages: {
    name: 'pass_pdf_pages',
    help: 'Pages of a PDF, delivered or not.',
    type: 'histogram',
    labels: { synthetic: SYNTHETIC },
    buckets: PAGES,
  },
  webhookDuration: {
    name: 'pass_webhook_delivery_duration_seconds',
    help: 'Seconds that one attempt to deliver a webhook took.',
    type: 'histogram',
    labels: {
      event: ['run.finished', 'run.failed', 'run.cancelled'],
      outcome: ['ok', 'failed', 'timeout', 'refused', 'throttled', 'disabled'],
    },
    buckets: HTTP_SECONDS,
  },
  webhookDeadLetters: {
    name: 'pass_webhook_dead_letter_total',
    help: 'Webhooks that were given up.',
    type: 'counter',
    labels: {},
  },
  webhookOldestPending: {
    name: 'pass_webhook_oldest_pending_age_seconds',
    help: 'Age of the oldest webhook that is not delivered yet; 0 when there is none.',
    type: 'gauge',
    labels: {},
  },
  authAttempts: {
    name: 'pass_auth_attempts_total',
    help: 'Requests that had to show who they are from; what was found good once on a connection counts each time.',
    type: 'counter',
    labels: { outcome: ['accepted', 'refused'], synthetic: SYNTHETIC },
  },
  authFailures: {
    name: 'pass_auth_failures_total',
    help: 'Requests that were turned away for what they showed, by reason.',
    type: 'counter',
    labels: {
      reason: [
        'token_missing',
        'token_malformed',
        'token_wrong_kind',
        'token_expired',
        'token_forged',
        'service_not_allowed',
        'install_not_allowed',
        'origin_not_allowed',
        'host_not_allowed',
        'synthetic_key_unknown',
        'relay_key_refused',
      ],
    },
  },
  rateLimitDecisions: {
    name: 'pass_rate_limit_decisions_total',
    help: 'Decisions of quotas. What is allowed is so by each of them; what is denied, by the one to wait for longest.',
    type: 'counter',
    labels: {
      limiter: ['install', 'address', 'overall', 'synthetic', 'llm'],
      decision: ['allowed', 'denied'],
      synthetic: SYNTHETIC,
    },
  },
  quotaUsed: {
    name: 'pass_quota_used',
    help: 'What is used of a quota that all share: tokens of a day for the model, units of an hour at the relay.',
    type: 'gauge',
    labels: { quota: ['llm_tokens', 'runs', 'spans'] },
  },
  quotaLimit: {
    name: 'pass_quota_limit',
    help: 'What a quota that all share allows.',
    type: 'gauge',
    labels: { quota: ['llm_tokens', 'runs', 'spans'] },
  },
  relaySpans: {
    name: 'pass_relay_spans_total',
    help: 'Spans at the relay, by what became of them.',
    type: 'counter',
    labels: {
      result: ['received', 'stored', 'kept', 'forwarded', 'dropped'],
      reason: ['none', 'invalid', 'refused_by_backend', 'no_room', 'unreadable', 'store_unavailable'],
    },
  },
  relayConnectionsRefused: {
    name: 'pass_relay_connections_refused_total',
    help: 'Connections closed before anything was read of them, because there were too many.',
    type: 'counter',
    labels: {},
  },
  relayTimings: {
    name: 'pass_relay_timings_total',
    help: 'What browsers told of the durations that only they know: used, malformed and left out, or told before.',
    type: 'counter',
    labels: { result: ['used', 'malformed', 'repeated'] },
  },
  relayLosses: {
    name: 'pass_relay_store_losses_total',
    help: 'What the store has lost or let go early, by kind: files, hours, spans, traces, dead letters.',
    type: 'counter',
    labels: { kind: ['damaged_file', 'early_hour', 'unforwarded_span', 'unkept_trace', 'dead_letter'] },
  },
  relayScrubbed: {
    name: 'pass_relay_scrubbed_total',
    help: 'What was taken out of requests because it is not listed or looks personal, by kind.',
    type: 'counter',
    labels: { kind: ['attributes', 'events', 'links', 'names', 'messages', 'fields', 'values'] },
  },
  relayQueue: {
    name: 'pass_relay_queue_depth',
    help: 'Requests that wait for the disk.',
    type: 'gauge',
    labels: {},
  },
  relayQueueCapacity: {
    name: 'pass_relay_queue_capacity',
    help: 'Requests that may wait for the disk before others are turned away.',
    type: 'gauge',
    labels: {},
  },
  relayBehind: {
    name: 'pass_relay_forward_behind',
    help: 'Entries of the outbox that the backend has not taken yet; 0 when nothing is forwarded.',
    type: 'gauge',
    labels: {},
  },
  relayStoreBytes: {
    name: 'pass_relay_store_bytes',
    help: 'Bytes of the store on the disk.',
    type: 'gauge',
    labels: {},
  },
  relayStoreCapacity: {
    name: 'pass_relay_store_capacity_bytes',
    help: 'Bytes that the store may have.',
    type: 'gauge',
    labels: {},
  },
  breaker: {
    name: 'pass_relay_breaker_state',
    help: 'Whether a breaker is in a state, 1 or 0, by what it guards.',
    type: 'gauge',
    labels: { breaker: ['backend', 'server', 'llm'], state: ['closed', 'half_open', 'open'] },
  },
  exportDuration: {
    name: 'pass_relay_export_duration_seconds',
    help: 'Seconds that one request to the tracing backend took.',
    type: 'histogram',
    labels: { outcome: ['taken', 'refused', 'failed'] },
    buckets: HTTP_SECONDS,
  },
  labelsReplaced: {
    name: 'pass_metric_labels_replaced_total',
    help: 'Values of labels that are not listed and became "other", by metric.',
    type: 'counter',
    labels: { metric: 60 },
  },
  buildInfo: {
    name: 'pass_build_info',
    help: 'Always 1; says which version of which service this is.',
    type: 'gauge',
    labels: { service: ['pass-ats-relay', 'pass-ats-server', 'pass-ats-synthetics'], version: 1 },
  },
  syntheticSuccess: {
    name: 'pass_synthetic_success',
    help: 'Whether the last run of a synthetic check passed: 1 or 0.',
    type: 'gauge',
    labels: { check: ['generate', 'compile', 'e2e'] },
  },
  syntheticDuration: {
    name: 'pass_synthetic_duration_seconds',
    help: 'Seconds that a person would have waited in the last run of a synthetic check that worked.',
    type: 'gauge',
    labels: { check: ['generate', 'compile', 'e2e'] },
  },
  syntheticLastRun: {
    name: 'pass_synthetic_last_run_timestamp_seconds',
    help: 'When a synthetic check ran last, seconds since 1970.',
    type: 'gauge',
    labels: { check: ['generate', 'compile', 'e2e'] },
  },
  syntheticRuns: {
    name: 'pass_synthetic_runs_total',
    help: 'Runs of synthetic checks, by result.',
    type: 'counter',
    labels: { check: ['generate', 'compile', 'e2e'], result: ['passed', 'failed', 'harness_failed', 'slow'] },
  },
} as const satisfies Record<string, Metric>
