/**
 * The documents' cases as a file for `promtool test rules`. Each case becomes three: nothing of its alert fires while all
 * is healthy, it fires as the case says, and no alert of the document fires when checks of ours are the only ones whom it
 * happens to.
 */

import { stringify } from 'yaml'
import type { Case, Document, Rule } from './document.ts'
import { rulesOf } from './rules-file.ts'
import { asSynthetic, coursesOf, type Traffic, valueAt } from './traffic.ts'

const HEALTHY_MINUTES = 60

/** All that an ordinary minute has. */
export function healthyTraffic(documents: Document[]): Traffic {
  return Object.assign({}, ...documents.flatMap(({ sections }) => sections.map(({ healthy }) => healthy)))
}

/** The text of the file for one document; `rulesPath` is where its rules are. */
export function promtoolTests(document: Document, everything: Traffic, rulesPath: string): string {
  const rules = rulesOf(document)
  const asked = rules.map(({ expr }) => expr).join()
  // What none of its rules asks for would only take time.
  const healthy = Object.fromEntries(
    Object.entries(everything).filter(([written]) => asked.includes(written.replace(/\{.*/, ''))),
  )
  const alerts = rules.filter(({ alert }) => alert !== undefined)
  const quiet = (minutes: number) =>
    alerts.map(({ alert }) => ({ eval_time: `${minutes}m`, alertname: alert, exp_alerts: [] }))
  const tests = document.sections.flatMap(({ heading, cases }) =>
    cases.flatMap((one, index) => {
      const rule = alerts.find(({ alert }) => alert === heading)
      if (!rule) throw new Error(`${document.name}: "${heading}" has cases, but no alert of its name`)
      const minutes = one.healthyFor ?? HEALTHY_MINUTES
      const end = minutes + one.after
      const title = `${document.name}: ${heading}, case ${index + 1}`
      const ofChecks = asSynthetic(one.given)
      return [
        {
          name: title,
          interval: '1m',
          input_series: input(healthy, one.given, minutes, one.after),
          alert_rule_test: [
            ...quiet(minutes),
            { eval_time: `${end}m`, alertname: heading, exp_alerts: expected(one, rule) },
          ],
        },
        {
          name: `${title}, of checks only`,
          interval: '1m',
          input_series: input({}, ofChecks, 0, end),
          alert_rule_test: quiet(end),
        },
      ].slice(0, Object.keys(ofChecks).length > 0 ? 2 : 1)
    }),
  )
  return stringify({ rule_files: [rulesPath], evaluation_interval: '1m', tests }, { lineWidth: 0 })
}

function input(healthy: Traffic, given: Traffic, healthyMinutes: number, faultyMinutes: number) {
  return coursesOf(healthy, given).map((course) => {
    const values = Array.from({ length: healthyMinutes + faultyMinutes + 1 }, (_, minute) =>
      valueAt(course, Math.min(minute, healthyMinutes), minute - healthyMinutes),
    )
    return { series: course.name, values: values.join(' ') }
  })
}

function expected({ fires = [{}] }: Case, { alert, labels, annotations }: Rule) {
  return fires.map((own) => ({
    exp_labels: { ...labels, ...own, alertname: alert },
    exp_annotations: Object.fromEntries(
      Object.entries(annotations ?? {}).map(([name, text]) => [
        name,
        text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label) => own[label] ?? ''),
      ]),
    ),
  }))
}
