import t from 'tap'
import { snoozeTimes } from './snooze-times.js'

t.test('tomorrow is the next day at nine, next week the next Monday', async (t) => {
  // a Saturday, a Sunday and a Monday, local time
  for (const [day, monday] of [
    [21, 23],
    [22, 23],
    [23, 30],
  ] as const) {
    const now = new Date(2026, 10, day, 23, 30)
    const { hour, tomorrow, week } = snoozeTimes(now.getTime())
    t.equal(hour.getTime() - now.getTime(), 3_600_000)
    t.same(tomorrow, new Date(2026, 10, day + 1, 9))
    t.same(week, new Date(2026, 10, monday, 9))
  }
})

t.test('the end of summer time moves no morning', async (t) => {
  const now = new Date(2026, 9, 24, 22).getTime()
  t.equal(snoozeTimes(now).tomorrow.getHours(), 9)
})
