/**
 * What the server answers: runs, their events, and every way they can fail. The extension and the relay import this;
 * it imports nothing. What the server takes is in `request-contract.ts`.
 *
 * A run's ID is its W3C trace ID (32 lower-case hex digits): the idempotency key, the path of its events, and what the
 * person reads out to support are the same string.
 */

/** Tells a T from whatever else came over the wire. */
interface Shape<T> {
  is(value: unknown): value is T
  /** The value itself. Throws TypeError when it is no T. */
  parse(value: unknown): T
}

// Not zod, in which requests are written: the least part of it is 8 KB more for a service worker to read at every start.
// These are a few flat objects, and the compiler asks for a check of every field.
function shape<T>(name: string, holds: (value: unknown) => boolean): Shape<T> {
  const is = (value: unknown): value is T => holds(value)
  return {
    is,
    parse(value) {
      if (is(value)) return value
      throw new TypeError(`Expected ${name}`)
    },
  }
}

type Fields<T> = { [K in keyof T]-?: (value: unknown) => boolean }

function hasFields<T>(value: unknown, fields: Fields<T>): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries<(value: unknown) => boolean>(fields).every(([key, holds]) =>
    holds((value as Record<string, unknown>)[key]),
  )
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isFlag = (value: unknown): boolean => typeof value === 'boolean'
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isOneOf = (values: readonly unknown[]) => (value: unknown) => values.includes(value)

/** 32 lower-case hex digits, not all zero (W3C Trace Context, trace-id). */
export const RunId = shape<string>('a run ID', (value) => isText(value) && /^(?!0{32})[0-9a-f]{32}$/.test(`${value}`))

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
  storage_full: {
    status: 503,
    message: 'The resume service has no room left to keep your PDF.',
    advice: 'Nothing of yours is lost. Try again in a few minutes. If it happens again, report it with the ID below.',
  },
  rate_limited: {
    status: 429,
    message: 'The resume service has had too many requests from here for now.',
    advice: 'Nothing is lost. Try again in a few minutes.',
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
  runs_unavailable: {
    status: 503,
    message: 'The resume service cannot keep track of resumes right now.',
    advice: 'Nothing is lost. Try again in a minute.',
  },
  llm_unauthorized: {
    status: 502,
    message: 'The writing service refused our key.',
    advice: 'This is ours to fix. Report it with the ID below.',
  },
  llm_misconfigured: {
    status: 502,
    message: 'The writing service does not take what we ask of it.',
    advice: 'This is ours to fix. Report it with the ID below.',
  },
  llm_rate_limited: {
    status: 503,
    message: 'The writing service is asking us to slow down.',
    advice: 'Try again in a few minutes.',
  },
  llm_unavailable: {
    status: 503,
    message: 'The writing service is not answering right now.',
    advice: 'Nothing is lost. Try again in a minute.',
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
  llm_refused: {
    status: 422,
    message: 'The writing service would not work with this posting.',
    advice: 'Select the part of the posting that describes the job, then press Generate again.',
  },
  llm_invalid_output: {
    status: 502,
    message: 'The writing service gave an answer we could not use.',
    advice: 'Try again. If it happens again, report it with the ID below.',
  },
  resume_too_long: {
    status: 422,
    message: 'Your profile does not fit on two pages, even without its bullets.',
    advice: 'Open the options and shorten what is named below, or take old entries out, then press Generate again.',
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
  output_too_large: {
    status: 422,
    message: 'The PDF, or what was written beside it, grew larger than allowed.',
    advice: 'Use fewer or smaller images, then try again.',
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
  cancelled: {
    status: 409,
    message: 'You cancelled this run.',
    advice: 'Press Generate when you want to start again.',
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
export interface FailureBody {
  code: FailureCode
  message: string
  advice: string
  detail?: string | undefined
}
const MAX_DETAIL = 300
const isFailureBody = (value: unknown) =>
  hasFields<FailureBody>(value, {
    code: isOneOf(FAILURE_CODES),
    message: isText,
    advice: isText,
    detail: (detail) => detail === undefined || (typeof detail === 'string' && detail.length <= MAX_DETAIL),
  })

/** Body of every 4xx and 5xx answer. */
export interface ErrorBody {
  error: FailureBody
}
export const ErrorBody = shape<ErrorBody>('a failure', (value) => hasFields<ErrorBody>(value, { error: isFailureBody }))

const RUN_STATUSES = ['queued', 'running', 'done', 'failed'] as const

/** Answer to POST /generate (202; 200 for a run that exists already). Paths are relative to the answering host. */
export interface Run {
  id: string
  status: (typeof RUN_STATUSES)[number]
  events: string
  pdf: string
}
export const Run = shape<Run>('a run', (value) =>
  hasFields<Run>(value, { id: RunId.is, status: isOneOf(RUN_STATUSES), events: isText, pdf: isText }),
)

/** A term of the posting as the posting writes it, and whether the profile covers it. */
export interface Term {
  text: string
  covered: boolean
}

/** What became of a model's rewordings. Where there was no model, or none left for today, all are 0. */
export interface Wording {
  /** `quota_used_up`: rules chose, because today's share of the model is used up. */
  by: 'rules' | 'model' | 'quota_used_up'
  /** Statements printed in a model's words. */
  reworded: number
  /** Rewordings that were dropped for the person's own words, because they said what the profile does not. */
  dropped: number
  /** How many more resumes can be reworded today, and until when that counts, epoch milliseconds. */
  left?: number | undefined
  resetsAt?: number | undefined
}

interface RunEvents {
  /** Waiting for the model or the typesetter, with so many runs waiting before it; over when the stage has started. */
  queued: { ahead: number }
  stage: { stage: ServerStage; state: 'started' | 'finished' }
  /** A model writes: so many statements until now. `correcting`: those that said what the profile does not. */
  writing: { statements: number; correcting: boolean }
  done: {
    pages: number
    sizeBytes: number
    /** Suggested name for the file, e.g. `Ada-Lovelace-Acme.pdf`. */
    fileName: string
    keywordsMatched: number
    keywordsTotal: number
    /** What the posting asks for, most important first; at most 40. For the person, never for telemetry. */
    terms: Term[]
    wording: Wording
    /** Bullets and remarks that two pages had no room for. */
    leftOut: number
  }
  failed: { failure: FailureBody }
}
/**
 * One message of GET /runs/{id}/events (`data:` as JSON). SSE ids count from 1 without gaps; those of a run that is posted
 * again after the server's death are higher than all before.
 */
export type RunEvent = { [Type in keyof RunEvents]: { type: Type } & RunEvents[Type] }[keyof RunEvents]

const MAX_TERMS = 40
const isTerm = (value: unknown) => hasFields<Term>(value, { text: isText, covered: isFlag })
const isWording = (value: unknown) =>
  hasFields<Wording>(value, {
    by: isOneOf(['rules', 'model', 'quota_used_up']),
    reworded: isCount,
    dropped: isCount,
    left: (left) => left === undefined || isCount(left),
    resetsAt: (at) => at === undefined || isCount(at),
  })

const EVENT_FIELDS: { [Type in keyof RunEvents]: Fields<RunEvents[Type]> } = {
  queued: { ahead: isCount },
  stage: { stage: isOneOf(SERVER_STAGES), state: isOneOf(['started', 'finished']) },
  writing: { statements: isCount, correcting: isFlag },
  done: {
    ...{ pages: isCount, sizeBytes: isCount, fileName: isText, keywordsMatched: isCount, keywordsTotal: isCount },
    leftOut: isCount,
    terms: (terms) => Array.isArray(terms) && terms.length <= MAX_TERMS && terms.every(isTerm),
    wording: isWording,
  },
  failed: { failure: isFailureBody },
}
export const RunEvent = shape<RunEvent>('an event', (value) => {
  const { type } = (value ?? {}) as { type?: unknown }
  return (
    typeof type === 'string' &&
    Object.hasOwn(EVENT_FIELDS, type) &&
    hasFields(value, EVENT_FIELDS[type as keyof RunEvents] as Fields<Record<string, unknown>>)
  )
})
