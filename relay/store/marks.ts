/**
 * Which traces are due: to be forwarded, and those that failed or were reported to be kept.
 *
 * Monotone: a trace that is due stays so, so each request is decided when it comes, and nothing waits for a trace to be
 * whole. The ratio is read off the ID; errors and reports leave a mark.
 */

/** Why a trace is kept beyond the window. */
export type Reason = 'error' | 'report'
/** Until when a trace is kept for each reason, milliseconds since 1970; 0 when it is not for that one. */
export type Mark = Record<Reason, number>

/** One in a hundred, by the last 56 bits of the ID: OTEP 235's threshold, the same in every service. */
const RATIO_THRESHOLD = 0xfd70a4
/** The same as `th` of the tracestate. */
export const RATIO_TH = 'fd70a4'
/** Marks in memory, ≈ 150 bytes each. With more than these the files are asked. */
const MAX_MARKS = 200_000
const FILTER_BITS = 2 ** 22

/** Whether a trace is one of the ratio's. */
export function isInRatio(traceId: string): boolean {
  return isWordInRatio(Number.parseInt(traceId.slice(16, 24), 16))
}

/** The same by the third of the four 32-bit words of its ID. */
export function isWordInRatio(word: number): boolean {
  return (word & 0xffffff) >= RATIO_THRESHOLD
}

/**
 * The marks, in memory. `read` asks the files for those of one trace; it is called only when there are more than
 * {@link MAX_MARKS}.
 */
export function createMarks(read: (traceId: string) => Mark, max = MAX_MARKS) {
  const known = new Map<string, Mark>()
  let complete = true
  /** A bit for the last word of each that is known: nearly all traces have none, and are not looked for any further. */
  const filter = new Uint8Array(FILTER_BITS / 8)
  /** What was known before the transaction that is under way. */
  let undo: [string, Mark | undefined][] = []

  function of(traceId: string): Mark {
    return known.get(traceId) ?? (complete ? { error: 0, report: 0 } : read(traceId))
  }

  function remember(traceId: string, mark: Mark): void {
    const bit = Number.parseInt(traceId.slice(24), 16) % FILTER_BITS
    filter[bit >>> 3] = (filter[bit >>> 3] as number) | (1 << (bit & 7))
    if (known.size < max || known.has(traceId)) known.set(traceId, mark)
    else complete = false
  }

  return {
    of,
    /** Whether a trace with these last 32 bits may have a mark. */
    mayHave(lastWord: number): boolean {
      const bit = (lastWord >>> 0) % FILTER_BITS
      return !complete || ((filter[bit >>> 3] as number) & (1 << (bit & 7))) !== 0
    },
    /** Marks a trace, for good only with {@link settle}. */
    set(traceId: string, reason: Reason, until: number): void {
      undo.push([traceId, known.get(traceId)])
      const mark = of(traceId)
      remember(traceId, { ...mark, [reason]: Math.max(mark[reason], until) })
    },
    /** The transaction is on the disk, or is not: then what it has set is forgotten. */
    settle(committed: boolean): void {
      if (!committed) {
        for (const [traceId, before] of undo.reverse()) {
          if (before) known.set(traceId, before)
          else known.delete(traceId)
        }
      }
      undo = []
    },
    /** Forgets everything and takes these instead. */
    reload(rows: Iterable<{ traceId: string; reason: Reason; until: number }>): void {
      known.clear()
      filter.fill(0)
      complete = true
      for (const { traceId, reason, until } of rows) {
        const mark = known.get(traceId) ?? { error: 0, report: 0 }
        remember(traceId, { ...mark, [reason]: Math.max(mark[reason], until) })
      }
    },
  }
}

export type Marks = ReturnType<typeof createMarks>
