import { expect, test } from 'vitest'
import { createAddressOf } from './address.ts'

const PROXIES = ['10.0.0.0/8', '192.0.2.7', '2001:db8:aaaa::/48']

test.each([
  // connection, X-Forwarded-For, whose request it is
  ['198.51.100.1', undefined, '198.51.100.1'],
  ['198.51.100.1', '203.0.113.9', '198.51.100.1'],
  ['::ffff:198.51.100.1', undefined, '198.51.100.1'],
  ['10.1.2.3', undefined, '10.1.2.3'],
  ['10.1.2.3', '203.0.113.9', '203.0.113.9'],
  ['10.1.2.3', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
  ['10.1.2.3', '1.1.1.1, 203.0.113.9, 10.9.9.9 , 192.0.2.7', '203.0.113.9'],
  ['::ffff:10.1.2.3', '::ffff:203.0.113.9', '203.0.113.9'],
  ['10.1.2.3', 'unknown', '10.1.2.3'],
  ['10.1.2.3', '203.0.113.9, ', '10.1.2.3'],
  ['10.1.2.3', '10.0.0.1', '10.0.0.1'],
  ['10.1.2.3', '[2001:db8:1:2:3::4]', '2001:db8:1:2'],
  ['2001:db8:aaaa::1', '2001:DB8:1:0002:ffff::', '2001:db8:1:2'],
  ['2001:db8:1:2:3:4:5:6', undefined, '2001:db8:1:2'],
  ['2001:db8::6', undefined, '2001:db8:0:0'],
  ['fe80::1%eth0', undefined, 'fe80:0:0:0'],
  ['::1', undefined, '0:0:0:0'],
  [undefined, '203.0.113.9', 'unknown'],
])('%s with X-Forwarded-For "%s" is %s', (connection, forwardedFor, address) => {
  expect(createAddressOf(PROXIES)(connection, forwardedFor)).toBe(address)
})

test('A header of very many proxies is followed only so far', () => {
  const addressOf = createAddressOf(PROXIES)
  expect(addressOf('10.0.0.1', ['203.0.113.9', ...Array(1_000).fill('10.0.0.2')].join(','))).toBe('10.0.0.2')
})
