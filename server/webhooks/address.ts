/** Which addresses a webhook may go to: those of the public Internet. What is inside is none of the endpoint's business. */

import { BlockList, isIP } from 'node:net'

// IANA's special-purpose registries, and what is not for one host alone.
const NOT_PUBLIC_V4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
]
/** Within 2000::/3, outside of which nothing is public: neither what is mapped, translated, local, nor unspecified. */
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const notPublic = listOf([...NOT_PUBLIC_V4, ...NOT_PUBLIC_V6])
const global = listOf(['2000::/3'])
const loopback = listOf(['127.0.0.0/8', '::1/128'])

/** Whether a webhook may be sent there. Loopback only where the operator has said so. */
export function mayReach(address: string, allowLoopback: boolean): boolean {
  const version = isIP(address)
  // A zone (fe80::1%eth0) says by itself that it is local.
  if (version === 0 || address.includes('%')) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  if (allowLoopback && loopback.check(address, family)) return true
  // Asked for by family: BlockList looks at ::ffff:a.b.c.d as at a.b.c.d, and 2000::/3 does not hold it.
  if (version === 6 && !global.check(address, 'ipv6')) return false
  return !notPublic.check(address, family)
}

function listOf(networks: string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}
