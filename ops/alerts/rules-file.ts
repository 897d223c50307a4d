/** The rules of all documents as the file that Prometheus loads. */

import { stringify } from 'yaml'
import type { Document, Rule, Section } from './document.ts'

/** Where the documents are, as links in the committed file have it: a path in this project. */
export const RUNBOOKS = 'ops/alerts'

const HEAD = `# Built from the documents of this folder by \`npm run alerts\`; a test fails when they differ. Do not edit.
`

/** A rule with what its place in the documents says: its area, its dashboard in Grafana, and the link to its runbook. */
export function completed(rule: Rule, document: Document, section: Section, runbooks = RUNBOOKS): Rule {
  if (rule.alert === undefined) return rule
  const { dashboard, ...rest } = rule.annotations ?? {}
  return {
    ...rule,
    labels: { ...rule.labels, area: document.name },
    annotations: {
      ...rest,
      dashboard_url: `/d/pass-ats-${dashboard}`,
      runbook_url: `${runbooks}/${document.name}.md#${section.anchor}`,
    },
  }
}

/** Every rule of a document, completed, in order. */
export function rulesOf(document: Document, runbooks = RUNBOOKS): Rule[] {
  return document.sections.flatMap((section) =>
    section.rules.map((rule) => completed(rule, document, section, runbooks)),
  )
}

/** `change` is given each rule, for copies that live faster. */
export function rulesFile(
  documents: Document[],
  { runbooks = RUNBOOKS, change = (rule: Rule) => rule }: { runbooks?: string; change?: (rule: Rule) => Rule } = {},
): string {
  const groups = documents
    .map((document) => ({ name: document.name, rules: rulesOf(document, runbooks).map(change) }))
    .filter(({ rules }) => rules.length > 0)
  return `${HEAD}${stringify({ groups }, { lineWidth: 0 })}`
}
