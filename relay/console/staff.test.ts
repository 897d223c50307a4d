import { expect, test } from 'vitest'
import { createStaff } from './staff.ts'

test('Of sessions there are a thousand, of links a hundred, of addresses that failed ten thousand: the oldest goes', () => {
  const staff = createStaff([{ name: 'ada', token: 'x'.repeat(32) }])
  const sessions = Array.from({ length: 1_001 }, () => staff.open('ada').id)
  expect([staff.session(sessions[0] ?? ''), staff.session(sessions[1] ?? '')?.name]).toEqual([undefined, 'ada'])
  const links = Array.from({ length: 101 }, () => staff.link('ada'))
  expect([staff.follow(links[0] ?? ''), staff.follow(links[1] ?? '')]).toEqual([undefined, 'ada'])
  for (const address of ['first', 'second']) for (let tries = 0; tries < 10; tries++) staff.failedAt(address)
  for (let other = 0; other < 9_999; other++) staff.failedAt(`${other}`)
  expect([staff.waitOf('first'), staff.waitOf('second')]).toEqual([undefined, expect.any(Number)])
})
