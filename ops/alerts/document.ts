/**
 * The documents of this folder, which are the source of the alerts: what is written about an alert, its rule, and the
 * traffic on which it fires stand in one section, and nothing of it stands anywhere else.
 *
 *     ## WebhooksFail                    the heading is what the runbook's link leads to
 *     ```yaml rules                      a list of Prometheus' rules
 *     ```yaml test                       a list of cases: traffic, and what fires on it (see `traffic.ts`)
 *     ```yaml healthy                    what an ordinary minute looks like, for all cases of all documents
 */

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import type { Traffic } from './traffic.ts'

export const ALERTS_DIR = fileURLToPath(new URL('.', import.meta.url))

export type Severity = 'warning' | 'critical'

/** A rule as Prometheus has it. */
export interface Rule {
  alert?: string
  record?: string
  expr: string
  for?: string
  keep_firing_for?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

export interface Case {
  /** In place of the healthy minute's own of the same series, or besides it. */
  given: Traffic
  /** How long all is healthy before that, minutes; 60 unless it is said. */
  healthyFor?: number
  /** When it is looked at, minutes after that. */
  after: number
  /** The alerts of this section's name that fire then, by their labels; one without labels unless it is said. */
  fires?: Record<string, string>[]
}

export interface Section {
  heading: string
  anchor: string
  rules: Rule[]
  cases: Case[]
  healthy: Traffic
}

export interface Document {
  /** Of the file, without `.md`; also the name of its group of rules, and the `area` of its alerts. */
  name: string
  text: string
  sections: Section[]
}

/** All of them, in the order of their names. Throws when YAML in one of them cannot be read. */
export function readDocuments(folder = ALERTS_DIR): Document[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => {
      const text = readFileSync(join(folder, file), 'utf8')
      return { name: basename(file, '.md'), text, sections: sectionsOf(text) }
    })
}

/** As code hosts make them from headings. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}

function sectionsOf(text: string): Section[] {
  const sections: Section[] = []
  // Fences first: a comment in a block of shell is no heading.
  for (const [, info, block, heading] of text.matchAll(/^```([^\n]*)\n(.*?)^```$|^##? ([^\n]+)$/gms)) {
    if (heading !== undefined) {
      sections.push({ heading, anchor: anchorOf(heading), rules: [], cases: [], healthy: {} })
      continue
    }
    const section = sections.at(-1)
    if (info === 'yaml rules') section?.rules.push(...(parse(block ?? '') as Rule[]))
    if (info === 'yaml test') section?.cases.push(...(parse(block ?? '') as Case[]))
    if (info === 'yaml healthy') Object.assign(section?.healthy ?? {}, parse(block ?? ''))
  }
  return sections
}
