import { claimedBounce } from '../smtp/bounce-address.js'
import type { ReportSubject } from './report.js'

const BOUNCE_ADDRESS = /(?<![a-z0-9.+_-])b[a-z2-7]{63}@[a-z0-9.-]{1,255}/gi
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const DELIVERY = new RegExp(`^X-Carillon-Delivery:\\s*(${UUID})`, 'im')
const MESSAGE_ID = new RegExp(`^Message-ID:\\s*<(${UUID})@`, 'im')
const PLAIN_VERP = new RegExp(`bounce\\+(${UUID})@`, 'i')
const RECEIPT = /^X-Carillon-Receipt:\s*([\w-]{60,256})/im

/**
 * Which delivery a report is about: by the address it was sent to, looked for in `places` in their order, else by the
 * headers of the returned mail in `returned`.
 */
export function reportSubject(places: readonly string[], returned: string): ReportSubject {
  // a mail returned in words may be quoted
  const unfolded = returned.replace(/^> ?/gm, '').replace(/\r?\n[ \t]+/g, ' ')
  const bounceAddress = [...places, unfolded]
    .flatMap((place) => place.match(BOUNCE_ADDRESS) ?? [])
    .find((address) => claimedBounce(address) !== undefined)
  const plain = places.map((place) => PLAIN_VERP.exec(place)?.[1]).find((id) => id !== undefined)
  const claimed = bounceAddress === undefined ? undefined : claimedBounce(bounceAddress)?.deliveryId
  const deliveryId = claimed ?? plain ?? DELIVERY.exec(unfolded)?.[1] ?? MESSAGE_ID.exec(unfolded)?.[1]
  const receiptToken = RECEIPT.exec(unfolded)?.[1]
  return {
    ...(deliveryId === undefined ? {} : { deliveryId: deliveryId.toLowerCase() }),
    ...(bounceAddress === undefined ? {} : { bounceAddress }),
    ...(receiptToken === undefined ? {} : { receiptToken }),
  }
}
