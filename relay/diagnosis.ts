/**
 * What every failure means to someone who helps a person, and what the shape of a trace means. Data: one entry each.
 *
 * The person's own sentence and advice are in `server/contract.ts`; here is what stands behind them.
 */

/** Who has to get up: nobody, somebody when it happens to several people, or somebody now. */
export type Wake = 'nobody' | 'if_many' | 'now'

export interface Entry {
  /** What happened, to someone who knows the product and no code. */
  meaning: string
  /** To the person, ready to be sent. */
  tell: string
  wake: Wake
  /** The section about it in `ops/alerts/`, as `document.md#anchor`, where there is one. */
  runbook?: string
}

/** In words, after the meaning. */
export const WAKE: Record<Wake, string> = {
  nobody: 'Nobody needs to be woken.',
  if_many: 'Wake the engineer on call if it happens to several people within the hour.',
  now: 'Wake the engineer on call now: nobody’s run works while this lasts.',
}

const SORRY_OURS =
  'Thank you for the ID. This one is on our side, and you did nothing wrong. We are on it and will write to you as soon as it works again.'
const AGAIN =
  'Thank you for the ID. Something on our side was unavailable for a moment. Nothing of yours is lost: please press Generate again. If it fails once more, send us the new ID.'

/** By failure code. */
export const FAILURE_ENTRIES: { [code: string]: Entry } = {
  profile_missing: {
    meaning: 'The extension has no profile, so there was nothing to write a resume from.',
    tell: 'Please open the extension’s options, add your profile, save it, and press Generate again.',
    wake: 'nobody',
  },
  profile_invalid: {
    meaning: 'A field of the profile is not what JSON Resume asks for. The options page names the field.',
    tell: 'One field of your profile could not be read. Please open the extension’s options: the field is named there. Correct it and press Generate again.',
    wake: 'nobody',
  },
  page_unreadable: {
    meaning: 'The browser closes this page to every extension: its own pages, the extension store, some PDF views.',
    tell: 'The browser does not let extensions read that page. Please open the job posting in an ordinary tab and press Generate there.',
    wake: 'nobody',
  },
  page_interrupted: {
    meaning: 'The page was closed, went elsewhere or stopped answering while the posting was read.',
    tell: 'The page changed while we were reading it. Please wait until it has loaded completely, then press Generate again.',
    wake: 'nobody',
  },
  posting_not_found: {
    meaning: 'No way of reading the page found a job posting. The details say which were tried, and why each gave up.',
    tell: 'We could not find a job posting on that page. Please open the posting itself rather than a list, or select its text with the mouse, and press Generate again.',
    wake: 'nobody',
  },
  relay_unreachable: {
    meaning:
      'The browser did not reach the relay: the person was offline, a network in between forbids it, the address in the options is wrong, or the relay was down.',
    tell: 'Your browser could not reach us. Please check that you are online and that the address in the extension’s options is right, then try again. On a company network, its administrators may have to allow it.',
    wake: 'if_many',
    runbook: 'relay-health.md#servicedown',
  },
  server_unreachable: {
    meaning: 'The relay works, but the server behind it did not answer.',
    tell: AGAIN,
    wake: 'now',
    runbook: 'relay-health.md#serverunreachable',
  },
  overloaded: {
    meaning: 'Too many runs were under way or waiting, so this one was turned away at once.',
    tell: 'We are very busy at the moment. Nothing of yours is lost: please try again in a minute.',
    wake: 'if_many',
    runbook: 'compile-failures.md#compilationswait',
  },
  storage_full: {
    meaning: 'The disk that holds the PDFs, or that of temporary files, took no more when this one was to be written.',
    tell: 'We had no room for your resume just then. Nothing of yours is lost: we are making room, and a second try a little later will work.',
    wake: 'now',
    runbook: 'objectives.md#runsfail',
  },
  rate_limited: {
    meaning: 'This browser, its network, or all together asked for more within the hour than is allowed.',
    tell: 'There were very many requests from your browser or network within the hour. Please wait a few minutes and try again.',
    wake: 'if_many',
    runbook: 'rate-limits.md#manyrequestsdenied',
  },
  request_invalid: {
    meaning: 'The server did not understand what the extension sent: the extension is usually older than the server.',
    tell: 'Please update the extension (or remove it and add it again; your profile can be exported in its options first), then try again.',
    wake: 'if_many',
    runbook: 'objectives.md#runsfail',
  },
  not_allowed: {
    meaning:
      'The request came from an address or host name that is not let in. Usually a set-up that is new or was moved.',
    tell: 'Please check the address in the extension’s options against the one we gave you. If it is the same, tell us: we have to allow it.',
    wake: 'if_many',
    runbook: 'auth-anomalies.md#mostrequestsrefused',
  },
  request_too_large: {
    meaning: 'Profile and posting together are larger than what is taken.',
    tell: 'The page’s text is too long. Please select only the part that describes the job, then press Generate again. A shorter profile helps as well.',
    wake: 'nobody',
  },
  run_not_found: {
    meaning: 'The server does not know the run any more: it restarted, or the run is older than what it remembers.',
    tell: 'That run is gone on our side. Please press Generate again.',
    wake: 'nobody',
  },
  runs_unavailable: {
    meaning: 'The servers could not reach the Redis that they keep runs in, or it took no more.',
    tell: 'We cannot make resumes this minute. Nothing is lost: please try again in a minute or two.',
    wake: 'now',
  },
  llm_unauthorized: {
    meaning: 'The model’s provider refused our key: it expired, was revoked, or the account is not paid.',
    tell: SORRY_OURS,
    wake: 'now',
    runbook: 'relay-health.md#modelunreachable',
  },
  llm_misconfigured: {
    meaning: 'The model’s provider does not take what we ask of it: a model name, an address or an option is wrong.',
    tell: SORRY_OURS,
    wake: 'now',
    runbook: 'relay-health.md#modelunreachable',
  },
  llm_rate_limited: {
    meaning: 'The model’s provider asked us to slow down, and went on asking.',
    tell: 'The service that writes the wording is busy. Please try again in a few minutes.',
    wake: 'if_many',
    runbook: 'rate-limits.md#modelthrottlesus',
  },
  llm_unavailable: {
    meaning: 'The model’s provider failed several times in a row, so it is left alone for half a minute at a time.',
    tell: 'The service that writes the wording is not answering right now. Nothing of yours is lost: please try again in a few minutes.',
    wake: 'if_many',
    runbook: 'relay-health.md#modelunreachable',
  },
  llm_error: {
    meaning: 'The model’s provider answered with an error, also when asked again.',
    tell: AGAIN,
    wake: 'if_many',
    runbook: 'relay-health.md#modelunreachable',
  },
  llm_timeout: {
    meaning: 'The model took longer than a run may wait for it.',
    tell: 'The service that writes the wording took too long. Please try again in a minute.',
    wake: 'if_many',
    runbook: 'relay-health.md#modelunreachable',
  },
  llm_refused: {
    meaning: 'The model declined to work with this posting. Its own rules decide that, not ours.',
    tell: 'The service that writes the wording would not work with that posting. Please select only the part that describes the job, then press Generate again.',
    wake: 'nobody',
  },
  llm_invalid_output: {
    meaning: 'The model’s answer was not usable, also at the second try.',
    tell: AGAIN,
    wake: 'if_many',
    runbook: 'objectives.md#runsfail',
  },
  unsupported_character: {
    meaning: 'The profile has a character that none of our fonts has. The popup names it; we do not record it.',
    tell: 'Your profile has a character that we cannot print. The extension’s window names it: please replace it in the options and press Generate again.',
    wake: 'nobody',
  },
  latex_invalid: {
    meaning: 'The resume’s LaTeX could not be typeset. The failed span has the line. This is a fault of the template.',
    tell: SORRY_OURS,
    wake: 'if_many',
    runbook: 'compile-failures.md#latexerrors',
  },
  tectonic_unavailable: {
    meaning: 'Tectonic, which makes the PDF, is not installed or cannot be started on the server.',
    tell: SORRY_OURS,
    wake: 'now',
    runbook: 'compile-failures.md#tectonicbreaks',
  },
  tectonic_crash: {
    meaning: 'Tectonic ended unexpectedly while it made the PDF.',
    tell: AGAIN,
    wake: 'if_many',
    runbook: 'compile-failures.md#tectonicbreaks',
  },
  compile_timeout: {
    meaning: 'Tectonic took longer than one compilation may take.',
    tell: AGAIN,
    wake: 'if_many',
    runbook: 'compile-failures.md#compilationshitlimits',
  },
  out_of_memory: {
    meaning: 'Tectonic needed more memory than one compilation may have.',
    tell: 'Your profile is unusually long. Please shorten it in the options and try again.',
    wake: 'if_many',
    runbook: 'compile-failures.md#compilationshitlimits',
  },
  output_too_large: {
    meaning: 'The PDF, or a file beside it, grew larger than one compilation may write.',
    tell: 'The document became too large. Please use fewer or smaller images, then try again.',
    wake: 'nobody',
    runbook: 'compile-failures.md#compilationshitlimits',
  },
  resume_too_long: {
    meaning: 'The profile does not fit on two pages, even without its bullets. The popup names what takes the room.',
    tell: 'Your profile does not fit on two pages. Please shorten what the extension’s window names, or take old entries out, then press Generate again.',
    wake: 'nobody',
  },
  sandbox_unavailable: {
    meaning: 'LaTeX from outside was sent, and the server has no sandbox to run it in.',
    tell: 'Documents of your own cannot be compiled on this installation. Resumes from postings are not concerned.',
    wake: 'if_many',
  },
  pdf_invalid: {
    meaning: 'The PDF was made but did not pass our checks, so it was not delivered. The failed span says which check.',
    tell: 'We made your resume, but it did not pass our own checks, so we did not hand it over. This one is on our side: we are on it and will write to you.',
    wake: 'if_many',
    runbook: 'pdf-validation.md#pdfchecksfail',
  },
  interrupted: {
    meaning: 'The run was cut off before it finished: the browser, its worker or the server was restarted.',
    tell: 'The run was interrupted before it finished. Nothing of yours is lost: please press Generate again.',
    wake: 'if_many',
    runbook: 'objectives.md#runsfail',
  },
  cancelled: {
    meaning: 'The person cancelled the run. Nothing failed.',
    tell: 'That run was cancelled from your browser. Press Generate whenever you want to start again.',
    wake: 'nobody',
  },
  internal: {
    meaning: 'An error that nobody foresaw. The failed span has its type.',
    tell: SORRY_OURS,
    wake: 'if_many',
    runbook: 'objectives.md#runsfail',
  },
}

/** For a code that is in nobody's list: of a newer extension, say, or made up. */
export const UNKNOWN_FAILURE: Entry = {
  meaning: 'The run failed with a code that this relay does not know, or with none.',
  tell: SORRY_OURS,
  wake: 'if_many',
}

/** By the shape of a trace; `meaning` is what is said of it. */
export const SHAPES = {
  done: {
    meaning: 'The run worked: the PDF reached the browser.',
    tell: 'Your resume was made. You find it in the extension’s window: press Open PDF, or look under Past runs.',
    wake: 'nobody',
  },
  running: {
    meaning: 'The run is under way. This page follows it.',
    tell: 'Your resume is being made at this moment. It usually takes a few seconds.',
    wake: 'nobody',
  },
  browser_missing: {
    meaning: 'The browser has not uploaded its part: ask the person to press “Report a problem”.',
    tell: 'Please open the extension, find the run (under Past runs, if it is not the last one) and press “Report a problem”. Then we see everything.',
    wake: 'nobody',
  },
  root_without_end: {
    meaning:
      'The browser’s part has a beginning and no end: the run is under way, or the browser was closed during it.',
    tell: 'It seems that your browser was closed during the run. Please open it again; if no resume appears, press Generate once more.',
    wake: 'nobody',
  },
  worker_died: {
    meaning: 'The browser ended the extension’s worker during the run, and no other took the run up.',
    tell: 'Your browser stopped the extension in the middle of the run. Please press Generate again.',
    wake: 'if_many',
  },
  worker_resumed: {
    meaning: 'The browser ended the extension’s worker during the run; the next one took the run up.',
    tell: '',
    wake: 'nobody',
  },
  server_missing: {
    meaning:
      'The browser asked for a resume, and nothing of the server is here: its telemetry did not arrive, or it never got the request.',
    tell: '',
    wake: 'if_many',
  },
  partial: {
    meaning: 'The telemetry is only partly here, so the sentence above may lack something.',
    tell: '',
    wake: 'nobody',
  },
} as const satisfies Record<string, Entry>

/** The entry of a code. */
export function entryOf(code: string | undefined): Entry {
  return (code !== undefined && Object.hasOwn(FAILURE_ENTRIES, code) && FAILURE_ENTRIES[code]) || UNKNOWN_FAILURE
}
