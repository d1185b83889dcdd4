import { BlockList, isIP } from 'node:net'
import { ChannelError } from '../errors.js'

/** Ranges that no user-given address may reach: RFC 6890 special purpose, cloud metadata, carrier NAT, documentation. */
const V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const
/** Everything outside 2000::/3, and inside it what embeds or tunnels another address. */
const V6 = [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

/** What hands out credentials of the machine: refused whatever the rules say. */
const METADATA4 = ['169.254.169.254', '169.254.170.2', '100.100.100.200'] as const
const METADATA6 = 'fd00:ec2::254'

export interface EgressRules {
  allowPrivate: boolean
}

/** Decides whether an address may be dialled. */
export interface EgressGuard {
  readonly allowPrivate: boolean
  /** True when the IP address may be reached. */
  allows(ip: string): boolean
  /**
   * Checks a URL before anything is resolved: https, no credentials, no literal private address.
   * @throws ChannelError `EGRESS_REFUSED`
   */
  check(url: string): URL
}

export function createEgressGuard(rules: EgressRules): EgressGuard {
  // Two lists: Node checks an IPv4 address against IPv6 rules too, in its mapped form, and ::/3 holds all of those.
  const blocked4 = new BlockList()
  const blocked6 = new BlockList()
  for (const [network, prefix] of V4) blocked4.addSubnet(network, prefix, 'ipv4')
  for (const [network, prefix] of V6) blocked6.addSubnet(network, prefix, 'ipv6')
  const metadata4 = new BlockList()
  const metadata6 = new BlockList()
  for (const address of METADATA4) {
    metadata4.addAddress(address, 'ipv4')
    metadata6.addAddress(`::ffff:${address}`, 'ipv6')
  }
  metadata6.addAddress(METADATA6, 'ipv6')
  const allows = (ip: string): boolean => {
    const family = isIP(ip)
    // the lists can't read a zone, and only addresses of this link have one
    if (family === 0 || ip.includes('%')) return false
    if (family === 4 ? metadata4.check(ip, 'ipv4') : metadata6.check(ip, 'ipv6')) return false
    if (rules.allowPrivate) return true
    return family === 4 ? !blocked4.check(ip, 'ipv4') : !blocked6.check(ip, 'ipv6')
  }
  return {
    allowPrivate: rules.allowPrivate,
    allows,
    check(text) {
      const url = URL.canParse(text) ? new URL(text) : undefined
      if (url?.protocol !== 'https:') throw refused('the address is not an https URL')
      if (url.username !== '' || url.password !== '') throw refused('the address carries credentials')
      const host = url.hostname.replace(/^\[|\]$/g, '')
      if (isIP(host) !== 0 && !allows(host)) throw refused('the address is not on the public internet')
      return url
    },
  }
}

function refused(problem: string): ChannelError {
  return new ChannelError('EGRESS_REFUSED', `Refused: ${problem}.`)
}
