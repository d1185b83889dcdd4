import { durationMs } from '@carillon/contracts'

const CLOCK = /^([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?$/
const AGO = /^(\S+)\s+ago$/
const DAY = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?$/

/**
 * A moment as people say it: `14:02` (the last time it was so on this machine's clock), `2h ago`, or ISO 8601 (without a
 * zone: this machine's). Undefined for everything else.
 */
export function momentOf(text: string, now: Date): Date | undefined {
  const clock = CLOCK.exec(text)
  if (clock !== null) {
    const [, hours, minutes, seconds = '0'] = clock
    const moment = new Date(now)
    moment.setHours(Number(hours), Number(minutes), Number(seconds), 0)
    if (moment > now) moment.setDate(moment.getDate() - 1)
    return moment
  }
  const ago = AGO.exec(text)
  if (ago !== null) {
    const ms = durationMs(ago[1] as string)
    return ms === undefined ? undefined : new Date(now.getTime() - ms)
  }
  if (!DAY.test(text)) return undefined
  // a day alone would be taken as one of UTC
  const moment = new Date(text.length === 10 ? `${text}T00:00` : text)
  return Number.isNaN(moment.getTime()) ? undefined : moment
}
