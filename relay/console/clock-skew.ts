/**
 * How far the clocks of services are apart, found by what cannot be: an answer that begins before its request. Pure.
 *
 * One shift a service, not one a span: a process has one clock, and the server's stages, which nobody called, have to
 * move with its requests.
 */

/** A call and what the other service recorded of it; nanoseconds since 1970, by two clocks. */
export interface Hop {
  caller: string
  called: string
  /** Whether it is a request and its answer, not merely a parent in another service. */
  isRequest: boolean
  outerStart: bigint
  outerEnd: bigint
  innerStart: bigint
  innerEnd: bigint
}

/** Two clocks of one machine, each read at another moment, differ by so much. */
const START_SLACK_NS = 25_000_000n
/** A call that was cut ends for its caller at once, and for the other side when it notices. */
const END_SLACK_NS = 250_000_000n

/** What to add to each service's times, nanoseconds; services whose clock is right by `reference`'s are left out. */
export function clockShifts(hops: readonly Hop[], reference: string): Map<string, bigint> {
  const shifts = new Map<string, bigint>([[reference, 0n]])
  const between = Map.groupBy(hops, ({ caller, called }) => [caller, called].sort().join('\n'))
  // From service to service; by requests first, which say it more exactly than a parent does.
  const pairs = [...between].sort(([, a], [, b]) => Number(b.some(isRequest)) - Number(a.some(isRequest)))
  for (let next = reachable(); next; next = reachable()) {
    const { known, unknown, hops } = next
    shifts.set(unknown, (shifts.get(known) ?? 0n) + shiftOf(hops, unknown))
  }
  function reachable() {
    for (const [key, hops] of pairs) {
      const [a = '', b = ''] = key.split('\n')
      if (shifts.has(a) !== shifts.has(b)) {
        return shifts.has(a) ? { known: a, unknown: b, hops } : { known: b, unknown: a, hops }
      }
    }
    return undefined
  }
  return new Map([...shifts].filter(([, shift]) => shift !== 0n))
}

const isRequest = (hop: Hop) => hop.isRequest

/** What to add to the times of `service` so that they fit those of the other; 0 when they do, or nothing would. */
function shiftOf(all: readonly Hop[], service: string): bigint {
  const requests = all.filter(isRequest)
  const hops = requests.length > 0 ? requests : all
  const broken = hops.filter(
    ({ outerStart, outerEnd, innerStart, innerEnd }) =>
      innerStart < outerStart - START_SLACK_NS || innerEnd > outerEnd + END_SLACK_NS,
  )
  // A single call may have gone wrong in its own way; a clock that is wrong spoils most.
  if (broken.length * 2 <= hops.length) return 0n
  // To the middle of where the inner span may be: as long on the way there as on the way back.
  const middles = hops
    .map((hop) => {
      const shift = (hop.outerStart - hop.innerStart + (hop.outerEnd - hop.innerEnd)) / 2n
      return { shift: hop.called === service ? shift : -shift, room: hop.outerEnd - hop.outerStart }
    })
    // The shortest call says it most exactly.
    .sort((x, y) => (x.room < y.room ? -1 : x.room > y.room ? 1 : 0))
  return middles[0]?.shift ?? 0n
}
