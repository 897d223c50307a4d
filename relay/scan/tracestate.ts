/** The one member of a W3C tracestate that the relay may change: OpenTelemetry's own, `ot` (OTEP 235). */

/** Members that everybody has to pass on; what is over that goes from the end. */
const MAX_MEMBERS = 32

/**
 * The tracestate with this `th` (`th:fd70a4`), or without one for null. Other members, and what else is in `ot`, stay
 * as they are; a member that was changed stands first, as W3C Trace Context has it.
 */
export function withThreshold(tracestate: string, threshold: string | null): string {
  const members = tracestate.split(',').filter((member) => member.trim() !== '')
  const isOt = (member: string) => member.trim().startsWith('ot=')
  const before = members.find(isOt)?.trim().slice('ot='.length).split(';') ?? []
  const rest = before.filter((field) => field !== '' && !field.startsWith('th:'))
  if (before.find((field) => field.startsWith('th:')) === (threshold ?? undefined)) return tracestate
  const after = threshold === null ? rest : [threshold, ...rest]
  const others = members.filter((member) => !isOt(member))
  return (after.length > 0 ? [`ot=${after.join(';')}`, ...others] : others).slice(0, MAX_MEMBERS).join(',')
}
