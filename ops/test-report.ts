/** What Vitest and Playwright write about a run of theirs, as numbers and as the names of what failed. */

import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

export interface Report {
  passed: number
  failed: number
  /** One line each: file, title, and the first line of what went wrong. */
  failures: string[]
}

interface VitestReport {
  numPassedTests: number
  numFailedTests: number
  testResults: {
    name: string
    status: string
    message: string
    assertionResults: { fullName: string; status: string; failureMessages?: string[] }[]
  }[]
}

interface PlaywrightSuite {
  suites?: PlaywrightSuite[]
  specs?: {
    file: string
    line: number
    title: string
    ok: boolean
    tests: { status: string; results: { error?: { message?: string } }[] }[]
  }[]
}

interface PlaywrightReport extends PlaywrightSuite {
  stats: { expected: number; unexpected: number; flaky: number }
  /** What failed outside of any test. */
  errors?: { message?: string }[]
}

const NOTHING: Report = { passed: 0, failed: 0, failures: [] }

/** The report that Vitest's `json` reporter wrote; of nothing when the tool died before it could write one. */
export async function readVitestReport(path: string, root: string): Promise<Report> {
  const report = await read<VitestReport>(path)
  if (!report) return NOTHING
  const failures = report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name)
    const failed = assertionResults.filter((test) => test.status === 'failed')
    // A file that could not be loaded has no test that could have failed.
    if (failed.length === 0 && status === 'failed') return [inOneLine(file, '', message)]
    return failed.map(({ fullName, failureMessages }) => inOneLine(file, fullName, failureMessages?.[0]))
  })
  return { passed: report.numPassedTests, failed: Math.max(report.numFailedTests, failures.length), failures }
}

/** The report that Playwright's `json` reporter wrote. A test that passes at a second try has failed. */
export async function readPlaywrightReport(path: string): Promise<Report> {
  const report = await read<PlaywrightReport>(path)
  if (!report) return NOTHING
  const { expected, unexpected, flaky } = report.stats
  const failures = specsIn(report)
    .filter(({ ok, tests }) => !ok || tests.some(({ status }) => status === 'flaky'))
    .map(({ file, line, title, tests }) => {
      const error = tests.flatMap(({ results }) => results).find(({ error }) => error)?.error
      return inOneLine(`${file}:${line}`, title, error?.message)
    })
  const outside = (report.errors ?? []).map(({ message }) => inOneLine('outside of any test', '', message))
  return { passed: expected, failed: unexpected + flaky + outside.length, failures: [...failures, ...outside] }
}

function specsIn({ suites = [], specs = [] }: PlaywrightSuite): NonNullable<PlaywrightSuite['specs']> {
  return [...specs, ...suites.flatMap(specsIn)]
}

function inOneLine(place: string, title: string, message = ''): string {
  const first = stripVTControlCharacters(message).trim().split('\n', 1)[0] ?? ''
  return [place, title, first].filter(Boolean).join(' › ').slice(0, 400)
}

async function read<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch {
    return undefined
  }
}
