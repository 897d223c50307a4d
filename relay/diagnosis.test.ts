import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FAILURE_CODES } from '../server/contract.ts'
import { entryOf, FAILURE_ENTRIES, SHAPES, UNKNOWN_FAILURE } from './diagnosis.ts'

const entries = Object.entries({ ...FAILURE_ENTRIES, ...SHAPES, UNKNOWN_FAILURE })

test('Every failure code has an entry', () => {
  expect(FAILURE_CODES.filter((code) => !Object.hasOwn(FAILURE_ENTRIES, code))).toEqual([])
})

test('A code that nobody knows has an entry too, and none is found in what every object has', () => {
  for (const code of ['llm_on_fire', 'toString', '__proto__', undefined]) expect(entryOf(code)).toBe(UNKNOWN_FAILURE)
  expect(entryOf('latex_invalid')).toBe(FAILURE_ENTRIES.latex_invalid)
})

test.each(entries)('What is said of %s are whole sentences, and the person is told no jargon', (_, entry) => {
  expect(entry.meaning).toMatch(/^[A-Z].*[.”]$/)
  expect(entry.tell).toMatch(/^$|^[A-Z].*\.$/)
  expect(entry.tell).not.toMatch(/\b(server|relay|span|trace|telemetry|Tectonic|LaTeX|worker|HTTP|LLM|token)\b/i)
})

const ALERTS = new URL('../ops/alerts/', import.meta.url)

test.skipIf(!existsSync(ALERTS))('Every runbook that is named is there, with its section', () => {
  for (const [name, { runbook }] of entries as [string, { runbook?: string }][]) {
    if (runbook === undefined) continue
    const [document = '', anchor = ''] = runbook.split('#')
    const path = new URL(document, ALERTS)
    expect(existsSync(path), `${name}: ${document}`).toBe(true)
    const anchors = [...readFileSync(path, 'utf8').matchAll(/^##? (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    )
    expect(anchors, name).toContain(anchor)
  }
})
