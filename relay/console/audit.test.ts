import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryPath } from '../sample-run.ts'
import { openAudit } from './audit.ts'

test('Of the audit there are two files of a bounded size, readable by their user only, and the newest lines first', () => {
  const path = join(dirname(temporaryPath()), 'audit.jsonl')
  let now = 0
  const audit = openAudit(path, () => now, 1_000)
  onTestFinished(() => audit.close())
  for (; now < 100; now += 1) audit.write('ada', 'look-up', '4bf92f3577b34da6a3ce929d0e0e4736')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  for (const file of [path, `${path}.1`]) expect(statSync(file).size).toBeLessThan(1_200)
  expect(audit.newest(2).map(({ at }) => Date.parse(at))).toEqual([99, 98])
  expect(JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '')).toMatchObject({ who: 'ada', what: 'look-up' })
})

test('A file of the process before is written on', () => {
  const path = join(dirname(temporaryPath()), 'audit.jsonl')
  for (const who of ['ada', 'grace']) {
    const audit = openAudit(path, () => 0)
    audit.write(who, 'list')
    audit.close()
  }
  const audit = openAudit(path, () => 0)
  onTestFinished(() => audit.close())
  expect(audit.newest(5).map(({ who }) => who)).toEqual(['grace', 'ada'])
})
