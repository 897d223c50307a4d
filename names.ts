/**
 * Every span, event, attribute and service name this product emits, once, each with its meaning.
 *
 * A leaf: it imports nothing. The span processors of relay and server drop every attribute that is not listed here,
 * so the list is also what may leave (`telemetry` never carries resume or posting text). A test fails on a name that
 * is emitted but not listed, or listed but never emitted.
 *
 * Sources: OpenTelemetry semantic conventions 1.4x (HTTP, RPC, process, session, exceptions), the separate GenAI
 * conventions (https://opentelemetry.io/schemas/gen-ai/1.42.0); our own names live under `pass_ats.*`.
 */

// ── Services (service.name) ────────────────────────────────────────────────
/** The browser extension: owns the root span. */
export const SERVICE_EXTENSION = 'pass-ats-extension'
/** The relay: takes OTLP in, stores and forwards it, and fronts the server. */
export const SERVICE_RELAY = 'pass-ats-relay'
/** The server: makes the PDF. */
export const SERVICE_SERVER = 'pass-ats-server'

// ── Spans ──────────────────────────────────────────────────────────────────
/** Root, INTERNAL: from the click to the PDF in the browser, or to the failure the person sees. */
export const SPAN_RUN = 'generate resume'
/** Stage, INTERNAL, background: the content script reads the posting from the page. */
export const SPAN_EXTRACT = 'extract'
/** INTERNAL, background, child of `extract`: one strategy tries to read the posting. */
export const SPAN_EXTRACT_STRATEGY = 'extract strategy'
/** Stage, INTERNAL, background: from the request to the run's last event. Parent of the server's stages. */
export const SPAN_GENERATE = 'generate'
/** Stage, INTERNAL, server: bullets are chosen for the posting, by a model or by rules. */
export const SPAN_LLM = 'llm'
/** Stage, INTERNAL, server: the tailored resume becomes LaTeX. */
export const SPAN_LATEX = 'latex'
/** Stage, INTERNAL, server: LaTeX becomes a PDF. */
export const SPAN_COMPILE = 'compile'
/** CLIENT, server: the Tectonic process itself. */
export const SPAN_TECTONIC = 'tectonic'
/** Stage, INTERNAL, server: the PDF is opened and checked. */
export const SPAN_VALIDATE = 'validate'
/** CLIENT, server, a trace of its own: one attempt to tell an endpoint how a run ended; linked to the run's trace. */
export const SPAN_WEBHOOK = 'webhook'
/** Stage, INTERNAL, background: the PDF arrives in the browser. */
export const SPAN_DELIVER = 'deliver'

/** INTERNAL, relay, of no length: somebody has reported the run. Only where traces are in engines; look-ups leave it out. */
export const SPAN_KEEP = 'keep'

// ── RPC methods of the extension's messages (span name = method) ───────────
/** Popup asks background to start a run. */
export const RPC_START_RUN = 'background/start_run'
/** Popup asks background to cancel the run. */
export const RPC_CANCEL_RUN = 'background/cancel_run'
/** Background asks the page's content script for the posting. */
export const RPC_EXTRACT_POSTING = 'content/extract_posting'
/** `rpc.system.name` of messages inside the extension. */
export const RPC_SYSTEM = 'webextension'

// ── Span events ────────────────────────────────────────────────────────────
/** OpenTelemetry's exception event; its message and stack are never recorded (they may quote a resume). */
export const EVENT_EXCEPTION = 'exception'

/** The worker that had the span open has died; the time is that of its last sign of life. */
export const EVENT_WORKER_TERMINATED = 'pass_ats.service_worker.terminated'
/** Another worker has taken the span up. */
export const EVENT_WORKER_RESUMED = 'pass_ats.service_worker.resumed'

// ── Our attributes ─────────────────────────────────────────────────────────
/** Which stage of a run a span is: extract, generate, llm, latex, compile, validate, deliver. */
export const ATTR_STAGE = 'pass_ats.stage'
/** How often another worker took the span up after its worker had died. */
export const ATTR_WORKER_RESUMES = 'pass_ats.service_worker.resumes'
/** Why the run ended without a PDF: a code of the closed list in `server/contract.ts`. */
export const ATTR_FAILURE_CODE = 'pass_ats.failure.code'
/** How bullets were chosen: `llm` or `deterministic`. */
export const ATTR_TAILOR_MODE = 'pass_ats.tailor.mode'
/** Which strategy read the posting: selection, json-ld, greenhouse, …, readability. */
export const ATTR_POSTING_SOURCE = 'pass_ats.posting.source'
/** Host name of the page the posting was on. Never its path or query. */
export const ATTR_POSTING_HOST = 'pass_ats.posting.host'
/** Characters in the extracted description. */
export const ATTR_POSTING_LENGTH = 'pass_ats.posting.length'
/** Why a strategy found nothing: a code such as `no_json_ld`, `too_short`, `not_a_posting`. */
export const ATTR_EXTRACT_GAVE_UP = 'pass_ats.extract.gave_up'
/** How many of the posting's terms the profile covers. */
export const ATTR_KEYWORDS_MATCHED = 'pass_ats.keywords.matched'
/** How many terms were taken from the posting. */
export const ATTR_KEYWORDS_TOTAL = 'pass_ats.keywords.total'
/** Bullets in the tailored resume. */
export const ATTR_BULLETS_SELECTED = 'pass_ats.bullets.selected'
/** Rewordings refused, also at the second try, because they said what the profile does not; its own words were kept. */
export const ATTR_BULLETS_REFUSED = 'pass_ats.bullets.refused'
/** Rewordings that were refused at first, and right at the second try. */
export const ATTR_BULLETS_REPAIRED = 'pass_ats.bullets.repaired'
/** Requests sent again for one answer of a model. */
export const ATTR_LLM_RETRIES = 'pass_ats.llm.retries'
/** Whether a model was asked to put right what it had answered before. */
export const ATTR_LLM_REPAIR = 'pass_ats.llm.repair'
/** Resumes that the install can still have reworded today, by estimate. */
export const ATTR_LLM_QUOTA_LEFT = 'pass_ats.llm.quota.left'
/** Whose quota of tokens was used up, so that rules chose the bullets: `install` or `overall`. */
export const ATTR_LLM_QUOTA_EXHAUSTED = 'pass_ats.llm.quota.exhausted'
/** Bullets and remarks left out because two pages have no room for them. */
export const ATTR_BULLETS_LEFT_OUT = 'pass_ats.bullets.left_out'
/** Tectonic format: `latex`. */
export const ATTR_COMPILE_FORMAT = 'pass_ats.compile.format'
/** TeX passes run. */
export const ATTR_COMPILE_PASSES = 'pass_ats.compile.passes'
/** Whether Tectonic ran inside bubblewrap. */
export const ATTR_COMPILE_SANDBOXED = 'pass_ats.compile.sandboxed'
/**
 * How Tectonic ended: ok, latex_error, unsupported_character, timeout, out_of_memory, output_too_large, crash, unavailable,
 * interrupted.
 */
export const ATTR_COMPILE_OUTCOME = 'pass_ats.compile.outcome'
/** User and system CPU time of the Tectonic process, seconds. */
export const ATTR_COMPILE_CPU_TIME = 'pass_ats.compile.cpu.time'
/** Peak resident memory of the Tectonic process, bytes. */
export const ATTR_COMPILE_MEMORY_PEAK = 'pass_ats.compile.memory.peak'
/** Line of the LaTeX error, counted from 1. */
export const ATTR_LATEX_ERROR_LINE = 'pass_ats.latex.error.line'
/** Whose line that is: `template`, `body` (what was filled in), `source` (sent to POST /compile), `package` (TeX's own). */
export const ATTR_LATEX_ERROR_PART = 'pass_ats.latex.error.part'
/** Characters of LaTeX handed to the compiler. */
export const ATTR_LATEX_LENGTH = 'pass_ats.latex.length'
/** Pages in the PDF. */
export const ATTR_PDF_PAGES = 'pass_ats.pdf.pages'
/** Size of the PDF, bytes. */
export const ATTR_PDF_SIZE = 'pass_ats.pdf.size'
/** Checks of the PDF that passed: size, readable, pages, fonts_embedded, text, text_on_page, links, outline, title, language. */
export const ATTR_PDF_CHECKS_PASSED = 'pass_ats.pdf.checks.passed'
/** Checks of the PDF that failed, of the same list. */
export const ATTR_PDF_CHECKS_FAILED = 'pass_ats.pdf.checks.failed'
/** Characters of text that can be extracted from the PDF. */
export const ATTR_PDF_TEXT_LENGTH = 'pass_ats.pdf.text.length'
/** Events sent on this SSE connection. */
export const ATTR_SSE_EVENTS_SENT = 'pass_ats.sse.events_sent'
/** Whether the SSE connection continued an earlier one (`Last-Event-ID`). */
export const ATTR_SSE_RESUMED = 'pass_ats.sse.resumed'
/** The `Last-Event-ID` a connection continued from. */
export const ATTR_SSE_LAST_EVENT_ID = 'pass_ats.sse.last_event_id'
/** Why the SSE connection ended: `finished`, `client_disconnected`, `server_shutdown`. */
export const ATTR_SSE_CLOSE_REASON = 'pass_ats.sse.close_reason'
/** How often the browser posted the run again because the server had lost it. */
export const ATTR_RUN_REPOSTS = 'pass_ats.run.reposts'
/** Whether a POST /generate met a run that existed already, and started none. */
export const ATTR_RUN_REPLAYED = 'pass_ats.run.replayed'
/** Which attempt at the run a POST /generate began: above 1 when the server had died in the one before. */
export const ATTR_RUN_ATTEMPT = 'pass_ats.run.attempt'

/** Whether the trace is to be kept whatever else is in it: the Collector's sampler looks for it. */
export const ATTR_SAMPLING_KEEP = 'pass_ats.sampling.keep'

/** Which attempt at sending the webhook this is, from 1. */
export const ATTR_WEBHOOK_ATTEMPT = 'pass_ats.webhook.attempt'
/** What became of the attempt: `taken`, `again` (tried later), `dead` (given up), `gone` (the endpoint wants no more). */
export const ATTR_WEBHOOK_OUTCOME = 'pass_ats.webhook.outcome'

// ── Attributes of the semantic conventions ─────────────────────────────────
/** Low-cardinality class of the error. */
export const ATTR_ERROR_TYPE = 'error.type'
/** Class name of a recorded exception. */
export const ATTR_EXCEPTION_TYPE = 'exception.type'
/** RPC system; here always `webextension`. */
export const ATTR_RPC_SYSTEM = 'rpc.system.name'
/** RPC method; one of the RPC_* names above. */
export const ATTR_RPC_METHOD = 'rpc.method'
/** HTTP method. */
export const ATTR_HTTP_REQUEST_METHOD = 'http.request.method'
/** HTTP status code. */
export const ATTR_HTTP_RESPONSE_STATUS_CODE = 'http.response.status_code'
/** Route template, e.g. `/runs/{id}/events`. */
export const ATTR_HTTP_ROUTE = 'http.route'
/** Full URL of an outgoing request to one of our services or the model endpoint; never a posting's. No query. */
export const ATTR_URL_FULL = 'url.full'
/** Path of an incoming request. */
export const ATTR_URL_PATH = 'url.path'
/** http or https. */
export const ATTR_URL_SCHEME = 'url.scheme'
/** Host the request was for. */
export const ATTR_SERVER_ADDRESS = 'server.address'
/** Port the request was for. */
export const ATTR_SERVER_PORT = 'server.port'
/** HTTP version. */
export const ATTR_NETWORK_PROTOCOL_VERSION = 'network.protocol.version'
/** The User-Agent header; in browsers a reduced, shared string. */
export const ATTR_USER_AGENT = 'user_agent.original'
/** `test` when one of our own checks asked, and no person. */
export const ATTR_SYNTHETIC_TYPE = 'user_agent.synthetic.type'
/** GenAI: `chat`. */
export const ATTR_GEN_AI_OPERATION = 'gen_ai.operation.name'
/** GenAI: who serves the model, e.g. `openai`. */
export const ATTR_GEN_AI_PROVIDER = 'gen_ai.provider.name'
/** GenAI: model asked for. */
export const ATTR_GEN_AI_REQUEST_MODEL = 'gen_ai.request.model'
/** GenAI: output token limit asked for. */
export const ATTR_GEN_AI_REQUEST_MAX_TOKENS = 'gen_ai.request.max_tokens'
/** GenAI: whether the answer is streamed. */
export const ATTR_GEN_AI_REQUEST_STREAM = 'gen_ai.request.stream'
/** GenAI: `json`. */
export const ATTR_GEN_AI_OUTPUT_TYPE = 'gen_ai.output.type'
/** GenAI: the provider's ID of the answer. */
export const ATTR_GEN_AI_RESPONSE_ID = 'gen_ai.response.id'
/** GenAI: model that answered. */
export const ATTR_GEN_AI_RESPONSE_MODEL = 'gen_ai.response.model'
/** GenAI: why the model stopped. */
export const ATTR_GEN_AI_RESPONSE_FINISH_REASONS = 'gen_ai.response.finish_reasons'
/** GenAI: seconds from the request to the first chunk. */
export const ATTR_GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = 'gen_ai.response.time_to_first_chunk'
/** GenAI: tokens in the prompt. */
export const ATTR_GEN_AI_USAGE_INPUT_TOKENS = 'gen_ai.usage.input_tokens'
/** GenAI: tokens in the answer. */
export const ATTR_GEN_AI_USAGE_OUTPUT_TOKENS = 'gen_ai.usage.output_tokens'
/** GenAI: tokens of the prompt that the provider had in its cache. */
export const ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = 'gen_ai.usage.cache_read.input_tokens'
/** GenAI: tokens of the answer that were spent on reasoning. */
export const ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS = 'gen_ai.usage.reasoning.output_tokens'
/** OpenAI: `chat_completions`. */
export const ATTR_OPENAI_API_TYPE = 'openai.api.type'
/** OpenAI: the service tier that answered. */
export const ATTR_OPENAI_RESPONSE_SERVICE_TIER = 'openai.response.service_tier'
/** OpenAI: names the provider's set-up at the time. */
export const ATTR_OPENAI_RESPONSE_SYSTEM_FINGERPRINT = 'openai.response.system_fingerprint'
/** File name of the program that was run: `tectonic`. */
export const ATTR_PROCESS_EXECUTABLE_NAME = 'process.executable.name'
/** Process ID. */
export const ATTR_PROCESS_PID = 'process.pid'
/** Exit code of the process. */
export const ATTR_PROCESS_EXIT_CODE = 'process.exit.code'
/** Random ID of the browser session. */
export const ATTR_SESSION_ID = 'session.id'

// ── Resource attributes ────────────────────────────────────────────────────
/** One of the SERVICE_* names. */
export const RESOURCE_SERVICE_NAME = 'service.name'
/** Version of package.json. */
export const RESOURCE_SERVICE_VERSION = 'service.version'
/** Random ID of this process. */
export const RESOURCE_SERVICE_INSTANCE_ID = 'service.instance.id'
/** Language of the SDK. */
export const RESOURCE_SDK_LANGUAGE = 'telemetry.sdk.language'
/** Name of the SDK. */
export const RESOURCE_SDK_NAME = 'telemetry.sdk.name'
/** Version of the SDK. */
export const RESOURCE_SDK_VERSION = 'telemetry.sdk.version'
/** Browser brands and major versions. */
export const RESOURCE_BROWSER_BRANDS = 'browser.brands'
/** Browser's platform, e.g. `Linux`. */
export const RESOURCE_BROWSER_PLATFORM = 'browser.platform'
/** Browser's language. */
export const RESOURCE_BROWSER_LANGUAGE = 'browser.language'
/** Random ID of this installation. */
export const RESOURCE_INSTALLATION_ID = 'app.installation.id'
/** Spans that the extension let go unsent since it last sent some: nobody waited for them, and their day was over. */
export const RESOURCE_DROPPED_EXPIRED = 'pass_ats.spans.dropped.expired'
/** The same: there was no room. */
export const RESOURCE_DROPPED_EVICTED = 'pass_ats.spans.dropped.evicted'
/** The same: storage took no write of them, or of how they ended. */
export const RESOURCE_DROPPED_UNWRITTEN = 'pass_ats.spans.dropped.unwritten'
/** The same: they could not be read back. */
export const RESOURCE_DROPPED_UNREADABLE = 'pass_ats.spans.dropped.unreadable'
/** The same: the relay refused them for good. */
export const RESOURCE_DROPPED_REFUSED = 'pass_ats.spans.dropped.refused'
