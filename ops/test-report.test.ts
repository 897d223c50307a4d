import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readPlaywrightReport, readVitestReport } from './test-report.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

// Within the project: both tools look for their packages from the tests' folder upwards.
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(ROOT, 'node_modules', '.test-report-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The tool's own run: nothing of the run that this test is in is handed on. */
function run(tool: string, args: string[], env: Record<string, string> = {}) {
  const own = Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST|NODE_OPTIONS)/.test(name))
  spawnSync(join(ROOT, 'node_modules', '.bin', tool), args, {
    cwd: folder,
    env: { ...Object.fromEntries(own), CI: 'true', ...env },
  })
}

test('what Vitest says of a run: tests that fail by name, files that cannot be loaded too', async () => {
  await writeFile(
    join(folder, 'sums.test.ts'),
    `import { expect, test } from 'vitest'\ntest('adds', () => {})\ntest('takes away', () => expect(2 - 1).toBe(2))\n`,
  )
  await writeFile(join(folder, 'gone.test.ts'), `import './nowhere.ts'\n`)
  const path = join(folder, 'unit.json')
  run('vitest', ['run', '--root', folder, '--reporter=json', `--outputFile=${path}`])
  const { passed, failed, failures } = await readVitestReport(path, folder)
  expect({ passed, failed }).toEqual({ passed: 1, failed: 2 })
  expect(failures.sort()).toEqual([
    expect.stringMatching(/^gone\.test\.ts › .*nowhere\.ts/),
    expect.stringMatching(/^sums\.test\.ts › takes away › .*expected 1 to be 2/),
  ])
})

test('what Playwright says of a run: what fails by place and name, and what passes only at a second try', async () => {
  await writeFile(
    join(folder, 'sums.spec.mjs'),
    `import { expect, test } from '@playwright/test'
test('adds', () => {})
test.describe('sums', () => {
  test('takes away', () => expect(2 - 1).toBe(2))
  test('now and then', ({}, { retry }) => expect(retry).toBe(1))
})
`,
  )
  const path = join(folder, 'browser.json')
  await writeFile(
    join(folder, 'playwright.config.mjs'),
    `export default { testMatch: '*.spec.mjs', retries: 1, outputDir: 'results', reporter: [['json', { outputFile: ${JSON.stringify(path)} }]] }\n`,
  )
  run('playwright', ['test'])
  const { passed, failed, failures } = await readPlaywrightReport(path)
  expect({ passed, failed }).toEqual({ passed: 1, failed: 2 })
  expect(failures).toEqual([
    expect.stringMatching(/^sums\.spec\.mjs:4 › takes away › Error: expect/),
    expect.stringMatching(/^sums\.spec\.mjs:5 › now and then › Error: expect/),
  ])
})

test('a tool that died before it could say anything has passed nothing', async () => {
  expect(await readVitestReport(join(folder, 'none.json'), folder)).toEqual({ passed: 0, failed: 0, failures: [] })
  expect(await readPlaywrightReport(join(folder, 'none.json'))).toEqual({ passed: 0, failed: 0, failures: [] })
})
