/** Which network address a request comes from, as far as that can be known. */
import { BlockList, isIP } from 'node:net'

/** Most proxies that are believed one after the other; more is a header that somebody made up. */
const MAX_HOPS = 10

/**
 * Makes a function from the connection's address and its X-Forwarded-For to whose request it is. The header is read
 * from its end, and only as far as `trusted` proxies (addresses, or networks as `10.0.0.0/8`) have written it. Throws
 * an Error for a network that is none.
 */
export function createAddressOf(trusted: readonly string[]) {
  const proxies = new BlockList()
  for (const network of trusted) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    proxies.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  const isTrusted = (address: string) => proxies.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  return (connection: string | undefined, forwardedFor: string | undefined): string => {
    let address = plain(connection ?? '')
    if (isIP(address) === 0) return 'unknown'
    const hops = (forwardedFor ?? '').split(',').slice(-MAX_HOPS)
    while (isTrusted(address)) {
      const next = plain(hops.pop() ?? '')
      // The end of the header, or something that is no address: what is known so far has to do.
      if (isIP(next) === 0) break
      address = next
    }
    return isIP(address) === 6 ? networkOf(address) : address
  }
}

/** Without spaces and brackets; an IPv4 address as such, also where the system writes it as IPv6. */
function plain(address: string): string {
  return address
    .trim()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/i, '')
}

/** The first 64 bits: whoever has one IPv6 address has all of those that begin like it. */
function networkOf(address: string): string {
  const [before = '', after] = address.toLowerCase().replace(/%.*$/, '').split('::')
  const head = before.split(':').filter(Boolean)
  const tail = (after ?? '').split(':').filter(Boolean)
  const groups =
    after === undefined ? head : [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail]
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
