/** What a PromQL expression asks for, by Prometheus' own grammar: dashboards and alerts are held to the catalogue by it. */
import { parser } from '@prometheus-io/lezer-promql'

type Node = ReturnType<typeof parser.parse>['topNode']

/** A series that is asked for. */
export interface Selector {
  metric: string
  /** By which it is picked. */
  matchers: { label: string; operator: string; value: string }[]
  /** Labels that aggregations around it group by, so that it must have them; not those that `label_replace` makes. */
  groupedBy: string[]
}

/**
 * The selectors of an expression, in order. Throws a SyntaxError on one that Prometheus could not read; Grafana's
 * variables must have been filled in before.
 */
export function selectorsIn(expression: string): Selector[] {
  const text = (node: Node | null) => (node ? expression.slice(node.from, node.to) : '')
  const selectors: Selector[] = []
  walk(parser.parse(expression).topNode, [])
  return selectors

  function walk(node: Node, grouped: string[]): void {
    if (node.type.isError) throw new SyntaxError(`Not PromQL at ${node.from}: ${expression}`)
    if (node.name === 'VectorSelector') {
      const picked = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
      const matchers = picked.map((matcher) => ({
        label: text(matcher.getChild('LabelName')),
        operator: text(matcher.getChild('MatchOp')),
        value: unquoted(matcher.getChild('StringLiteral')),
      }))
      selectors.push({ metric: text(node.getChild('Identifier')), matchers, groupedBy: [...new Set(grouped)] })
    }
    let inside = grouped
    if (node.name === 'AggregateExpr') inside = [...grouped, ...labelsOf(node.getChild('AggregateModifier'))]
    if (node.name === 'FunctionCall' && text(node.getChild('FunctionIdentifier')) === 'label_replace') {
      const made = new Set(node.getChild('FunctionCallBody')?.getChildren('StringLiteral').slice(0, 1).map(unquoted))
      inside = grouped.filter((label) => !made.has(label))
    }
    // The right side of these only picks: none of its labels come out.
    const picks = node.getChild('And') ?? node.getChild('Unless')
    for (let child = node.firstChild; child; child = child.nextSibling) {
      walk(child, picks && child.from > picks.from ? [] : inside)
    }
  }

  function labelsOf(modifier: Node | null): string[] {
    const listed = modifier?.getChild('By') ? modifier.getChild('GroupingLabels') : null
    return listed?.getChildren('LabelName').map(text) ?? []
  }

  function unquoted(node: Node | null): string {
    return text(node).slice(1, -1)
  }
}

/** Labels by which an expression groups or joins, wherever in it. */
export function groupingLabelsOf(expression: string): string[] {
  const labels: string[] = []
  parser.parse(expression).iterate({
    enter({ name, node }) {
      if (name !== 'GroupingLabels') return
      labels.push(...node.getChildren('LabelName').map(({ from, to }) => expression.slice(from, to)))
    },
  })
  return labels
}
