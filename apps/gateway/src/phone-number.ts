import { isPhoneNumber } from '@carillon/channels'
import { HttpProblem } from '@carillon/service'

/**
 * A number as people write it in E.164: spaces, dots, dashes, slashes and brackets go, a leading 00 becomes a plus.
 * A number without its country could be anybody's.
 * @throws HttpProblem 400 `VALIDATION` at `phone`
 */
export function normalPhone(written: string): string {
  // +43 (0)660 …: the zero is dialled only inside the country
  const digits = written
    .trim()
    .replace(/\(0\)/, '')
    .replace(/[\s().\-/\u00a0]/g, '')
  const number = digits.replace(/^00/, '+')
  if (isPhoneNumber(number)) return number
  const detail = number.startsWith('+')
    ? `"${written}" is not a phone number: after the plus come 7 to 15 digits, the first of them not 0.`
    : `"${written}" has no country code; write it like +43 660 1234567.`
  throw new HttpProblem(400, 'VALIDATION', detail, { field: 'phone' })
}
