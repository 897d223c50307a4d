/**
 * The documents' cases as files for `promtool test rules`. Each case becomes three: nothing of its alert fires while all
 * is healthy, it fires as the case says, and no alert of the document fires when checks of ours are the only ones whom it
 * happens to.
 */

import { stringify } from 'yaml'
import type { Case, Document, Rule } from './document.ts'
import { rulesOf } from './rules-file.ts'
import { asSynthetic, coursesOf, type Traffic, valueAt } from './traffic.ts'

const HEALTHY_MINUTES = 60
/**
 * Minutes from sample to sample, and from one evaluation to the next. What needs yesterday has 1,600 of them, and windows of
 * an hour, in which every fifth says the same.
 */
const STEPS = { ordinary: 1, long: 5 }
const LONG_MINUTES = 600
const stepOf = ({ healthyFor = HEALTHY_MINUTES }: Case) => (healthyFor < LONG_MINUTES ? STEPS.ordinary : STEPS.long)

/** All that an ordinary minute has. */
export function healthyTraffic(documents: Document[]): Traffic {
  return Object.assign({}, ...documents.flatMap(({ sections }) => sections.map(({ healthy }) => healthy)))
}

/** The texts of the files for one document, which has one for each step; `rulesPath` is where its rules are. */
export function promtoolTests(document: Document, everything: Traffic, rulesPath: string): string[] {
  const cases = document.sections.flatMap(({ cases }) => cases)
  return [...new Set(cases.map(stepOf))].map((step) => testsOf(document, everything, rulesPath, step))
}

function testsOf(document: Document, everything: Traffic, rulesPath: string, step: number): string {
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
      if (stepOf(one) !== step) return []
      const rule = alerts.find(({ alert }) => alert === heading)
      if (!rule) throw new Error(`${document.name}: "${heading}" has cases, but no alert of its name`)
      const minutes = one.healthyFor ?? HEALTHY_MINUTES
      const end = minutes + one.after
      const title = `${document.name}: ${heading}, case ${index + 1}`
      const ofChecks = asSynthetic(one.given)
      return [
        {
          name: title,
          interval: `${step}m`,
          input_series: input(healthy, one.given, minutes, one.after, step),
          alert_rule_test: [
            ...quiet(minutes),
            { eval_time: `${end}m`, alertname: heading, exp_alerts: expected(one, rule) },
          ],
        },
        {
          name: `${title}, of checks only`,
          interval: `${step}m`,
          input_series: input({}, ofChecks, 0, end, step),
          alert_rule_test: quiet(end),
        },
      ].slice(0, Object.keys(ofChecks).length > 0 ? 2 : 1)
    }),
  )
  return stringify({ rule_files: [rulesPath], evaluation_interval: `${step}m`, tests }, { lineWidth: 0 })
}

function input(healthy: Traffic, given: Traffic, healthyMinutes: number, faultyMinutes: number, step: number) {
  return coursesOf(healthy, given).map((course) => {
    const values = Array.from({ length: (healthyMinutes + faultyMinutes) / step + 1 }, (_, sample) =>
      valueAt(course, Math.min(sample * step, healthyMinutes), sample * step - healthyMinutes),
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
