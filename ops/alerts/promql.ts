/** What an expression asks for, and the same expression in a world that lives faster. Read with Prometheus' own grammar. */

import { parser } from '@prometheus-io/lezer-promql'

export interface Selector {
  metric: string
  matchers: { label: string; operator: string; value: string }[]
}

interface Piece {
  name: string
  from: number
  to: number
}

function piecesOf(expression: string): Piece[] {
  const pieces: Piece[] = []
  parser.parse(expression).iterate({
    enter({ name, from, to }) {
      pieces.push({ name, from, to })
    },
  })
  return pieces
}

/** The series that an expression reads, in order. */
export function selectorsOf(expression: string): Selector[] {
  const pieces = piecesOf(expression)
  const text = ({ from, to }: Piece) => expression.slice(from, to)
  const within = (outer: Piece, name: string) =>
    pieces.filter((piece) => piece.name === name && piece.from >= outer.from && piece.to <= outer.to)
  return pieces
    .filter(({ name }) => name === 'VectorSelector')
    .map((selector) => ({
      metric: within(selector, 'Identifier').map(text)[0] ?? '',
      matchers: within(selector, 'UnquotedLabelMatcher').map((matcher) => ({
        label: within(matcher, 'LabelName').map(text)[0] ?? '',
        operator: within(matcher, 'MatchOp').map(text)[0] ?? '',
        value: (within(matcher, 'StringLiteral').map(text)[0] ?? '').slice(1, -1),
      })),
    }))
}

/** Labels by which an expression groups or joins. */
export function groupingLabelsOf(expression: string): string[] {
  const pieces = piecesOf(expression)
  const groupings = pieces.filter(({ name }) => name === 'GroupingLabels')
  return pieces
    .filter(({ name, from, to }) => name === 'LabelName' && groupings.some((g) => from >= g.from && to <= g.to))
    .map(({ from, to }) => expression.slice(from, to))
}

/** A duration such as `1h30m`, divided, in milliseconds. Throws when it is none. */
export function fasterDuration(duration: string, factor: number): string {
  const parts = [...duration.matchAll(/(\d+)(ms|[smhdwy])/g)]
  if (parts.map(([part]) => part).join('') !== duration) throw new Error(`"${duration}" is no duration`)
  const units: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, y: 31536e6 }
  const total = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0)
  return `${Math.round(total / factor)}ms`
}

/** Every range, offset and look ahead divided by `factor`. Seconds that are compared with something stay. */
export function faster(expression: string, factor: number): string {
  const pieces = piecesOf(expression)
  const looksAhead = pieces.filter(
    ({ name, from, to }) => name === 'FunctionCall' && expression.startsWith('predict_linear', from) && to > from,
  )
  const changes = pieces.flatMap((piece) => {
    const text = expression.slice(piece.from, piece.to)
    if (piece.name === 'NumberDurationLiteralInDurationContext') return [{ ...piece, by: fasterDuration(text, factor) }]
    const ahead = piece.name === 'NumberDurationLiteral' && looksAhead.some(({ to }) => to === piece.to + 1)
    return ahead ? [{ ...piece, by: String(Number(text) / factor) }] : []
  })
  return changes.reduceRight((text, { from, to, by }) => text.slice(0, from) + by + text.slice(to), expression)
}
