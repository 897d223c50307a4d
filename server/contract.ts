/**
 * What the server answers: runs, their events, and every way they can fail. The extension and the relay import this;
 * it imports nothing but zod.
 *
 * A run's ID is its W3C trace ID (32 lower-case hex digits): the idempotency key, the path of its events, and what the
 * person reads out to support are the same string.
 */

import { z } from 'zod'

// zod compiles schemas with `new Function` where it may; an extension's content security policy reports each try as a
// violation. What is gained elsewhere is microseconds a request.
z.config({ jitless: true })

/** 32 lower-case hex digits, not all zero (W3C Trace Context, trace-id). */
export const RunId = z.string().regex(/^(?!0{32})[0-9a-f]{32}$/)

const text = (max: number) => z.string().max(max)
const date = z
  .string()
  .regex(/^([1-2]\d{3})(-[0-1]\d(-[0-3]\d)?)?$/, 'must be a date such as 2021, 2021-03 or 2021-03-15')
const list = <T extends z.ZodType>(item: T, max: number) => z.array(item).max(max).optional()

/**
 * JSON Resume 1.x (https://jsonresume.org/schema): the fields a resume is made of, with bounds. Fields this product
 * does not print are accepted and ignored, so that any valid JSON Resume file can be opened.
 */
export const Profile = z.looseObject({
  basics: z.looseObject({
    name: z.string().trim().min(1, 'must not be empty').max(200),
    label: text(200).optional(),
    email: z.email().max(200).optional(),
    phone: text(60).optional(),
    url: text(500).optional(),
    summary: text(4_000).optional(),
    location: z
      .looseObject({ city: text(120).optional(), region: text(120).optional(), countryCode: text(10).optional() })
      .optional(),
    profiles: list(
      z.looseObject({ network: text(80).optional(), username: text(120).optional(), url: text(500).optional() }),
      10,
    ),
  }),
  work: list(
    z.looseObject({
      name: z.string().trim().min(1, 'must name the employer').max(200),
      position: text(200).optional(),
      location: text(120).optional(),
      url: text(500).optional(),
      startDate: date.optional(),
      endDate: date.optional(),
      summary: text(2_000).optional(),
      highlights: list(text(1_000), 40),
    }),
    30,
  ),
  education: list(
    z.looseObject({
      institution: z.string().trim().min(1, 'must name the institution').max(200),
      area: text(200).optional(),
      studyType: text(120).optional(),
      startDate: date.optional(),
      endDate: date.optional(),
      score: text(40).optional(),
      courses: list(text(200), 40),
    }),
    15,
  ),
  skills: list(z.looseObject({ name: text(120), level: text(60).optional(), keywords: list(text(120), 60) }), 40),
  projects: list(
    z.looseObject({
      name: text(200),
      description: text(2_000).optional(),
      highlights: list(text(1_000), 20),
      keywords: list(text(120), 40),
      startDate: date.optional(),
      endDate: date.optional(),
      url: text(500).optional(),
    }),
    30,
  ),
  languages: list(z.looseObject({ language: text(80), fluency: text(80).optional() }), 20),
  certificates: list(
    z.looseObject({ name: text(200), issuer: text(200).optional(), date: date.optional(), url: text(500).optional() }),
    30,
  ),
})
export type Profile = z.infer<typeof Profile>

/** How a posting can be read, in order of trust. */
export const POSTING_SOURCES = [
  'selection',
  'json-ld',
  'greenhouse',
  'lever',
  'ashby',
  'workday',
  'linkedin',
  'indeed',
  'readability',
] as const
export type PostingSource = (typeof POSTING_SOURCES)[number]

/** A job posting as text. `title`, `company` and `location` are '' when the page does not say. */
export const Posting = z.strictObject({
  source: z.enum(POSTING_SOURCES),
  title: text(300),
  company: text(200),
  location: text(300),
  /** Plain text; paragraphs and list items on lines of their own. */
  description: z.string().trim().min(1).max(50_000),
})
export type Posting = z.infer<typeof Posting>

/** Body of POST /generate. At most {@link MAX_GENERATE_BYTES}. */
export const GenerateRequest = z.strictObject({ profile: Profile, posting: Posting })
export type GenerateRequest = z.infer<typeof GenerateRequest>
/** Largest accepted POST /generate body, bytes. */
export const MAX_GENERATE_BYTES = 512 * 1024
/** Largest accepted POST /compile body (one LaTeX file), bytes. */
export const MAX_COMPILE_BYTES = 256 * 1024

/** The stages the server runs, in order. */
export const SERVER_STAGES = ['llm', 'latex', 'compile', 'validate'] as const
export type ServerStage = (typeof SERVER_STAGES)[number]

/**
 * Every way a run can fail, on whichever side, once: support looks a code up without asking who wrote it.
 * `message` says what happened and `advice` what to do, in the person's words; `status` is the HTTP status when a
 * server answers with it.
 */
export const FAILURES = {
  profile_missing: {
    status: 400,
    message: 'There is no profile yet.',
    advice: 'Open the options and add your profile, then press Generate again.',
  },
  profile_invalid: {
    status: 400,
    message: 'Your profile has a field we could not read.',
    advice: 'Open the options: the field is named there. Correct it, then press Generate again.',
  },
  page_unreadable: {
    status: 400,
    message: 'The browser does not let extensions read this page.',
    advice: 'Open the job posting in an ordinary tab, then press Generate again.',
  },
  page_interrupted: {
    status: 400,
    message: 'The page closed, changed or stopped answering while we were reading it.',
    advice: 'Wait until the page has loaded, then press Generate again.',
  },
  posting_not_found: {
    status: 400,
    message: 'We could not find a job posting on this page.',
    advice: 'Open the posting itself, or select its text on the page, then press Generate again.',
  },
  relay_unreachable: {
    status: 503,
    message: 'We could not reach the resume service.',
    advice: 'Check that you are online and that the address in the options is right, then try again.',
  },
  server_unreachable: {
    status: 502,
    message: 'The resume service is not answering right now.',
    advice: 'Nothing is lost. Try again in a minute.',
  },
  overloaded: {
    status: 503,
    message: 'The resume service is busy right now.',
    advice: 'Nothing is lost. Try again in a minute.',
  },
  request_invalid: {
    status: 400,
    message: 'The resume service did not understand the request.',
    advice: 'Update the extension, then try again.',
  },
  not_allowed: {
    status: 403,
    message: 'The resume service does not take requests from here.',
    advice: 'Use the extension. If this is its own address, add it to the allowed hosts.',
  },
  request_too_large: {
    status: 413,
    message: 'The profile and the posting together are too large.',
    advice: 'Select the part of the posting that matters, or shorten the profile, then try again.',
  },
  run_not_found: {
    status: 404,
    message: 'The resume service does not know this run any more.',
    advice: 'Press Generate again.',
  },
  llm_unauthorized: {
    status: 502,
    message: 'The writing service refused our key.',
    advice: 'This is ours to fix. Report it with the ID below.',
  },
  llm_rate_limited: {
    status: 503,
    message: 'The writing service is asking us to slow down.',
    advice: 'Try again in a few minutes.',
  },
  llm_error: {
    status: 502,
    message: 'The writing service had an error.',
    advice: 'Try again. If it happens again, report it with the ID below.',
  },
  llm_timeout: {
    status: 504,
    message: 'The writing service took too long.',
    advice: 'Try again in a minute.',
  },
  llm_invalid_output: {
    status: 502,
    message: 'The writing service gave an answer we could not use.',
    advice: 'Try again. If it happens again, report it with the ID below.',
  },
  unsupported_character: {
    status: 422,
    message: 'Your profile has a character that our fonts cannot print.',
    advice: 'Open the options, replace the character named below, then press Generate again.',
  },
  latex_invalid: {
    status: 422,
    message: 'The resume could not be typeset.',
    advice: 'Report it with the ID below: we can see where it stopped.',
  },
  tectonic_unavailable: {
    status: 503,
    message: 'The program that makes the PDF is not available.',
    advice: 'This is ours to fix. Report it with the ID below.',
  },
  tectonic_crash: {
    status: 500,
    message: 'The program that makes the PDF stopped unexpectedly.',
    advice: 'Try again. If it happens again, report it with the ID below.',
  },
  compile_timeout: {
    status: 504,
    message: 'Making the PDF took too long.',
    advice: 'Try again. If it happens again, report it with the ID below.',
  },
  out_of_memory: {
    status: 500,
    message: 'Making the PDF needed more memory than allowed.',
    advice: 'Shorten the profile, then try again.',
  },
  sandbox_unavailable: {
    status: 503,
    message: 'LaTeX from outside is not accepted here, because it could not be run safely.',
    advice: 'Install bubblewrap on the server, then try again.',
  },
  pdf_invalid: {
    status: 500,
    message: 'The PDF did not pass our checks, so we did not deliver it.',
    advice: 'Report it with the ID below.',
  },
  interrupted: {
    status: 503,
    message: 'The run was interrupted before it finished.',
    advice: 'Press Generate again.',
  },
  internal: {
    status: 500,
    message: 'Something went wrong on our side.',
    advice: 'Try again. If it happens again, report it with the ID below.',
  },
} as const satisfies Record<string, { status: number; message: string; advice: string }>

export type FailureCode = keyof typeof FAILURES
export const FAILURE_CODES = Object.keys(FAILURES) as [FailureCode, ...FailureCode[]]

/**
 * A failure as it is answered and shown. `detail` names the field or character concerned, when there is one; it may
 * quote the profile, so it goes to the person and never into telemetry.
 */
export const FailureBody = z.object({
  code: z.enum(FAILURE_CODES),
  message: z.string(),
  advice: z.string(),
  detail: z.string().max(300).optional(),
})
export type FailureBody = z.infer<typeof FailureBody>

/** Body of every 4xx and 5xx answer. */
export const ErrorBody = z.object({ error: FailureBody })
export type ErrorBody = z.infer<typeof ErrorBody>

/** Answer to POST /generate (202; 200 for a run that exists already). Paths are relative to the answering host. */
export const Run = z.object({
  id: RunId,
  status: z.enum(['queued', 'running', 'done', 'failed']),
  events: z.string(),
  pdf: z.string(),
})
export type Run = z.infer<typeof Run>

/** One message of GET /runs/{id}/events (`data:` as JSON). SSE ids count from 1 without gaps. */
export const RunEvent = z.discriminatedUnion('type', [
  /** Waiting for the typesetter, with so many runs waiting before it; over when the stage has started. */
  z.object({ type: z.literal('queued'), ahead: z.int().min(0) }),
  z.object({ type: z.literal('stage'), stage: z.enum(SERVER_STAGES), state: z.enum(['started', 'finished']) }),
  z.object({
    type: z.literal('done'),
    pages: z.int(),
    sizeBytes: z.int(),
    /** Suggested name for the file, e.g. `Ada-Lovelace-Acme.pdf`. */
    fileName: z.string(),
    keywordsMatched: z.int(),
    keywordsTotal: z.int(),
  }),
  z.object({ type: z.literal('failed'), failure: FailureBody }),
])
export type RunEvent = z.infer<typeof RunEvent>
