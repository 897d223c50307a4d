/** One trace in a hundred, chosen by its ID, so that everybody who has to choose chooses the same (OTEP 235, `th:fd70a4`). */

const THRESHOLD = 0xfd70a4

/** Whether it is one of them: the random 56 bits at the ID's end, of which the first 24 are enough for one percent. */
export function isSampled(traceId: string): boolean {
  return Number.parseInt(traceId.slice(18, 24), 16) >= THRESHOLD
}
