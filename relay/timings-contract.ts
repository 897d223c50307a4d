/**
 * The few durations that only the browser knows, told with requests that it makes anyway: most runs that work send no
 * spans, and all count.
 *
 * `pass-ats-timings: extract=812, request=1034` with POST /generate, `pass-ats-timings: elapsed=12034` with the fetch of
 * the PDF: whole milliseconds, at most ten minutes. What is not exactly so is left out, and the request goes on.
 */
export const TIMINGS_HEADER = 'pass-ats-timings'

/** `extract`: that stage. `request`: from the click to this request. `elapsed`: the same, when the PDF is fetched. */
export type Timing = 'extract' | 'request' | 'elapsed'
