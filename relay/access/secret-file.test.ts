import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryPath } from '../sample-run.ts'
import { keptSecret } from './secret-file.ts'

test('The secret is made once, for this user only, and found again', () => {
  const path = join(dirname(temporaryPath()), 'new folder', 'relay.secret')
  const secret = keptSecret(path)
  expect(secret).toMatch(/^[0-9a-f]{64}$/)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(keptSecret(path)).toBe(secret)
  expect(readFileSync(path, 'utf8').trim()).toBe(secret)
})

test('A file that holds too little is refused by its path, and not by its content', () => {
  const path = temporaryPath()
  writeFileSync(path, 'hunter2')
  expect(() => keptSecret(path)).toThrow(path)
  expect(() => keptSecret(path)).not.toThrow('hunter2')
})
