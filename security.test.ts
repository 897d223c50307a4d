/** What SECURITY.md says is there; and what it cannot say by itself: no secret in the tree, no permission without a reason. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lintSource } from '@secretlint/core'
import { creator } from '@secretlint/secretlint-rule-preset-recommend'
import { expect, it } from 'vitest'
import { manifestFor } from './extension/manifest.ts'

const ROOT = fileURLToPath(new URL('.', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

interface Asked {
  permissions?: string[]
  host_permissions?: string[]
}

const held = [...read('SECURITY.md').matchAll(/^\|.*\| \[([^\]]+)\]\(([^)]+\.(?:test|spec)\.ts)\)/gm)].map(
  ([, title = '', file = '']) => ({ title, file }),
)

it('every line of SECURITY.md names a test', () => {
  expect(held.length).toBeGreaterThan(30)
})

it.each(held)('$file has the test that SECURITY.md names: $title', ({ title, file }) => {
  // As it is written in the source, where an apostrophe may be an escape.
  expect(read(file).replaceAll('\\u2019', '’')).toContain(title)
})

/** Tests of what finds secrets, and of what refuses them, hold one each that is made up. */
const MADE_UP = ['extension/options/relay-url.test.ts', 'relay/scan/probe.test.ts']

async function hasSecret(filePath: string, content: string): Promise<boolean> {
  const config = { rules: [{ id: '@secretlint/secretlint-rule-preset-recommend', rule: creator }] }
  const source = { filePath, content, contentType: 'text' as const }
  const { messages } = await lintSource({ source, options: { config, maskSecrets: true } })
  return messages.length > 0
}

it('no file of the repository holds a secret', async () => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0')
  const text = files.filter((file) => file && !/\.(png|ico|otf|pdf)$|^package-lock\.json$/.test(file))
  expect(text.length).toBeGreaterThan(300)
  const found = await Promise.all(text.map(async (file) => ((await hasSecret(file, read(file))) ? [file] : [])))
  expect(found.flat()).toEqual(MADE_UP)
})

it('the README says of each permission what it is for', async () => {
  const readme = read('README.md')
  for (const target of ['chromium', 'firefox'] as const) {
    const { permissions = [], host_permissions = [] } = (await manifestFor(target)) as Asked
    for (const permission of [...permissions, ...host_permissions]) {
      expect(readme).toMatch(new RegExp(`^\\| \`${permission.replaceAll('*', '\\*')}\`[^|]*\\| \\w`, 'm'))
    }
  }
})
