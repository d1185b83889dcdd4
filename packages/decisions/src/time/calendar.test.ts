import t from 'tap'
import {
  createCalendar,
  isTimezone,
  type LocalTime,
  localTimeProblem,
  type QuietWindow,
  quietWindowProblem,
} from '../index.js'

const calendar = createCalendar()
const at = (moment: string) => Date.parse(moment)
const iso = (moment: number | undefined) =>
  moment === undefined ? undefined : new Date(moment).toISOString().replace(':00.000Z', 'Z')
const next = (time: LocalTime | string, zone: string, now: string) =>
  iso(calendar.next(typeof time === 'string' ? { at: time } : time, zone, at(now)))
const quietUntil = (windows: QuietWindow | QuietWindow[], zone: string, now: string) =>
  iso(calendar.quietUntil(Array.isArray(windows) ? windows : [windows], zone, at(now)))
const night: QuietWindow = { from: '22:00', to: '07:00' }

t.test('the next local time', async (t) => {
  t.test('is later than now, even when it is that time right now', async (t) => {
    t.equal(next('09:00', 'Europe/Vienna', '2026-06-10T06:59:59.999Z'), '2026-06-10T07:00Z')
    t.equal(next('09:00', 'Europe/Vienna', '2026-06-10T07:00Z'), '2026-06-11T07:00Z')
    t.equal(next('00:00', 'Asia/Kathmandu', '2026-06-10T12:00Z'), '2026-06-10T18:15Z', 'five hours 45')
    t.equal(next('09:00', 'Europe/Vienna', '2026-12-31T12:00Z'), '2027-01-01T08:00Z', 'next year')
  })

  t.test('that clocks skip is the first moment after the gap', async (t) => {
    t.equal(next('02:30', 'Europe/Vienna', '2026-03-28T12:00Z'), '2026-03-29T01:00Z', 'at 03:00')
    t.equal(next('02:00', 'Europe/Vienna', '2026-03-28T12:00Z'), '2026-03-29T01:00Z')
    t.equal(next('03:00', 'Europe/Vienna', '2026-03-28T12:00Z'), '2026-03-29T01:00Z')
    t.equal(next('02:30', 'Europe/Vienna', '2026-03-29T01:00Z'), '2026-03-30T00:30Z', 'once')
    t.equal(next('02:30', 'America/New_York', '2026-03-07T12:00Z'), '2026-03-08T07:00Z')
    t.equal(next('02:15', 'Australia/Lord_Howe', '2026-10-03T12:00Z'), '2026-10-03T15:30Z', 'half an hour')
    t.equal(next('02:30', 'Africa/Casablanca', '2026-03-21T12:00Z'), '2026-03-22T02:00Z', 'after Ramadan')
    t.equal(next('00:15', 'America/Sao_Paulo', '2018-11-03T12:00Z'), '2018-11-04T03:00Z', 'at midnight')
  })

  t.test('that clocks repeat is the first of the two, once', async (t) => {
    t.equal(next('02:30', 'Europe/Vienna', '2026-10-24T12:00Z'), '2026-10-25T00:30Z')
    t.equal(next('02:30', 'Europe/Vienna', '2026-10-25T00:30Z'), '2026-10-26T01:30Z')
    t.equal(next('01:30', 'America/New_York', '2026-10-31T12:00Z'), '2026-11-01T05:30Z')
    t.equal(next('01:45', 'Australia/Lord_Howe', '2026-04-04T12:00Z'), '2026-04-04T14:45Z')
    t.equal(next('02:30', 'Africa/Casablanca', '2026-02-14T12:00Z'), '2026-02-15T01:30Z', 'before Ramadan')
  })

  t.test('of a day that never was comes when the next day begins', async (t) => {
    t.equal(next('10:00', 'Pacific/Apia', '2011-12-29T18:00Z'), '2011-12-29T20:00Z', 'on the 29th')
    t.equal(next('10:00', 'Pacific/Apia', '2011-12-29T20:00Z'), '2011-12-30T10:00Z', 'for the 30th')
    t.equal(next('10:00', 'Pacific/Apia', '2011-12-30T10:00Z'), '2011-12-30T20:00Z', 'on the 31st')
    t.equal(next({ at: '10:00', days: ['fri'] }, 'Pacific/Apia', '2011-12-29T18:00Z'), '2011-12-30T10:00Z')
  })

  t.test('is on one of its days, as the reader counts them', async (t) => {
    const weekly: LocalTime = { at: '09:00', days: ['mon', 'thu'] }
    t.equal(next(weekly, 'Europe/Vienna', '2026-06-10T12:00Z'), '2026-06-11T07:00Z', 'thursday')
    t.equal(next(weekly, 'Europe/Vienna', '2026-06-11T07:00Z'), '2026-06-15T07:00Z', 'monday')
    t.equal(next({ at: '00:30', days: ['mon'] }, 'Europe/Vienna', '2026-06-14T12:00Z'), '2026-06-14T22:30Z')
    t.equal(next({ at: '09:00', days: ['mon'] }, 'Europe/Vienna', '2026-06-15T07:00Z'), '2026-06-22T07:00Z')
    t.equal(next({ at: '02:30', days: ['sun'] }, 'Europe/Vienna', '2026-03-23T12:00Z'), '2026-03-29T01:00Z')
    t.equal(next({ at: '09:00', days: [] }, 'UTC', '2026-06-15T10:00Z'), '2026-06-16T09:00Z', 'none: all')
  })

  t.test('knows leap days', async (t) => {
    t.equal(next('09:00', 'Europe/Vienna', '2028-02-28T08:00Z'), '2028-02-29T08:00Z')
    t.equal(next('09:00', 'Europe/Vienna', '2028-02-29T08:00Z'), '2028-03-01T08:00Z')
    t.equal(next('09:00', 'Europe/Vienna', '2027-02-28T08:00Z'), '2027-03-01T08:00Z')
    t.equal(next({ at: '09:00', days: ['tue'] }, 'UTC', '2028-02-23T00:00Z'), '2028-02-29T09:00Z')
  })

  t.test('of something that is none is a mistake of the program', async (t) => {
    for (const wrong of ['9:00', '24:00', '09:60', '09-00', '09:00:00', '', '0x:00', '１２:00']) {
      t.throws(() => calendar.next({ at: wrong }, 'UTC', 0), /Not a time of day/, wrong)
    }
    const days = ['noday'] as unknown as LocalTime['days'] & object
    t.throws(() => calendar.next({ at: '09:00', days }, 'UTC', 0), /No weekday among/)
  })
})

t.test('quiet hours', async (t) => {
  t.test('include their beginning and not their end', async (t) => {
    const noon = { from: '12:00', to: '13:00' }
    t.equal(quietUntil(noon, 'UTC', '2026-06-10T11:59:59.999Z'), undefined)
    t.equal(quietUntil(noon, 'UTC', '2026-06-10T12:00Z'), '2026-06-10T13:00Z')
    t.equal(quietUntil(noon, 'UTC', '2026-06-10T12:59:59.999Z'), '2026-06-10T13:00Z')
    t.equal(quietUntil(noon, 'UTC', '2026-06-10T13:00Z'), undefined)
    t.equal(quietUntil([], 'UTC', '2026-06-10T13:00Z'), undefined)
  })

  t.test('go over midnight', async (t) => {
    t.equal(quietUntil(night, 'Europe/Vienna', '2026-06-10T20:00Z'), '2026-06-11T05:00Z')
    t.equal(quietUntil(night, 'Europe/Vienna', '2026-06-11T04:00Z'), '2026-06-11T05:00Z')
    t.equal(quietUntil(night, 'Europe/Vienna', '2026-06-11T05:00Z'), undefined)
    t.equal(quietUntil(night, 'Asia/Kathmandu', '2026-12-31T20:00Z'), '2027-01-01T01:15Z')
  })

  t.test('on their days, which are those they begin on', async (t) => {
    const friday: QuietWindow = { ...night, days: ['fri'] }
    t.equal(quietUntil(friday, 'UTC', '2026-06-12T03:00Z'), undefined, 'friday morning is thursday night')
    t.equal(quietUntil(friday, 'UTC', '2026-06-12T23:00Z'), '2026-06-13T07:00Z')
    t.equal(quietUntil(friday, 'UTC', '2026-06-13T03:00Z'), '2026-06-13T07:00Z', 'saturday morning')
    t.equal(quietUntil(friday, 'UTC', '2026-06-13T23:00Z'), undefined)
    const sunday: QuietWindow = { from: '00:00', to: '00:00', days: ['sun'] }
    t.equal(quietUntil(sunday, 'Europe/Vienna', '2026-06-13T22:00Z'), '2026-06-14T22:00Z', 'the whole day')
    t.equal(quietUntil(sunday, 'Europe/Vienna', '2026-06-14T22:00Z'), undefined)
    t.equal(quietUntil(sunday, 'Europe/Vienna', '2026-10-24T22:00Z'), '2026-10-25T23:00Z', 'of 25 hours')
  })

  t.test('last an hour less or more when clocks change', async (t) => {
    t.equal(quietUntil(night, 'Europe/Vienna', '2026-03-28T21:00Z'), '2026-03-29T05:00Z')
    t.equal(quietUntil(night, 'Europe/Vienna', '2026-10-24T20:00Z'), '2026-10-25T06:00Z')
    t.equal(quietUntil(night, 'America/New_York', '2026-03-08T04:00Z'), '2026-03-08T11:00Z')
    t.equal(quietUntil(night, 'Australia/Lord_Howe', '2026-10-03T12:00Z'), '2026-10-03T20:00Z')
    t.equal(quietUntil(night, 'Africa/Casablanca', '2026-02-15T00:00Z'), '2026-02-15T07:00Z')
  })

  t.test('whose end is skipped end with the gap, and those inside the gap never are', async (t) => {
    t.equal(
      quietUntil({ from: '22:00', to: '02:30' }, 'Europe/Vienna', '2026-03-28T22:00Z'),
      '2026-03-29T01:00Z',
    )
    t.equal(quietUntil({ from: '02:10', to: '02:50' }, 'Europe/Vienna', '2026-03-29T01:00Z'), undefined)
    t.equal(
      quietUntil({ from: '02:30', to: '04:00' }, 'Europe/Vienna', '2026-03-29T01:00Z'),
      '2026-03-29T02:00Z',
    )
  })

  t.test('whose end comes twice last until the second, in one stretch', async (t) => {
    const early = { from: '22:00', to: '02:30' }
    for (const now of ['2026-10-24T23:00Z', '2026-10-25T00:30Z', '2026-10-25T00:59Z', '2026-10-25T01:29Z']) {
      t.equal(quietUntil(early, 'Europe/Vienna', now), '2026-10-25T01:30Z', now)
    }
    t.equal(quietUntil(early, 'Europe/Vienna', '2026-10-25T01:30Z'), undefined)
    const late = { from: '02:30', to: '07:00' }
    t.equal(quietUntil(late, 'Europe/Vienna', '2026-10-25T01:10Z'), '2026-10-25T06:00Z', '02:10 again')
  })

  t.test('go on when clocks go back over midnight, into yesterday', async (t) => {
    const sunday: QuietWindow = { from: '00:00', to: '07:00', days: ['sun'] }
    for (const now of ['2010-11-07T02:30Z', '2010-11-07T03:00Z', '2010-11-07T04:00Z']) {
      t.equal(quietUntil(sunday, 'America/St_Johns', now), '2010-11-07T10:30Z', now)
    }
    t.equal(calendar.local('America/St_Johns', at('2010-11-07T03:00Z')).text, '23:30 (America/St_Johns)')
    t.equal(next('00:00', 'America/St_Johns', '2010-11-07T03:00Z'), '2010-11-08T03:30Z', 'midnight has been')
  })

  t.test('over a day that never was go on with the next', async (t) => {
    t.equal(quietUntil(night, 'Pacific/Apia', '2011-12-30T09:00Z'), '2011-12-30T17:00Z')
    t.equal(quietUntil({ ...night, days: ['thu'] }, 'Pacific/Apia', '2011-12-30T09:00Z'), '2011-12-30T10:00Z')
  })

  t.test('that touch or overlap are one', async (t) => {
    const three = [
      { from: '12:00', to: '13:00' },
      { from: '14:30', to: '16:00' },
      { from: '13:00', to: '15:00' },
    ]
    t.equal(quietUntil(three, 'UTC', '2026-06-10T12:30Z'), '2026-06-10T16:00Z')
    const weekend: QuietWindow[] = [
      night,
      { from: '07:00', to: '22:00', days: ['sat'] },
      { from: '06:00', to: '23:00', days: ['sun'] },
    ]
    t.equal(quietUntil(weekend, 'Europe/Vienna', '2026-06-12T20:00Z'), '2026-06-15T05:00Z')
  })

  t.test('without an end are asked about again after 8 days', async (t) => {
    t.equal(
      quietUntil({ from: '09:00', to: '09:00' }, 'Europe/Vienna', '2026-10-20T13:21Z'),
      '2026-10-28T13:21Z',
    )
  })
})

t.test('a local day begins with its first moment', async (t) => {
  const start = (zone: string, now: string) => iso(calendar.startOfDay(zone, at(now)))
  t.equal(start('Europe/Vienna', '2026-06-10T21:59Z'), '2026-06-09T22:00Z')
  t.equal(start('Europe/Vienna', '2026-06-10T22:00Z'), '2026-06-10T22:00Z')
  t.equal(start('America/Sao_Paulo', '2018-11-04T12:00Z'), '2018-11-04T03:00Z', 'midnight was skipped')
  t.equal(start('America/Havana', '2026-11-01T05:30Z'), '2026-11-01T04:00Z', 'midnight came twice')
  t.equal(start('Pacific/Apia', '2011-12-30T12:00Z'), '2011-12-30T10:00Z', 'after a day that never was')
})

t.test('a moment is told as it reads there', async (t) => {
  t.strictSame(calendar.local('Europe/Vienna', at('2028-02-29T06:00Z')), {
    weekday: 'tue',
    time: '07:00',
    date: '2028-02-29',
    text: '07:00 (Europe/Vienna)',
  })
  t.match(calendar.local('Asia/Kathmandu', at('2026-12-31T18:15Z')), { time: '00:00', date: '2027-01-01' })
  t.match(calendar.local('Pacific/Apia', at('2011-12-30T09:59:59.999Z')), {
    date: '2011-12-29',
    time: '23:59',
  })
})

t.test('a zone that nobody knows is UTC', async (t) => {
  for (const zone of ['Mars/Olympus', '', '+02:00', 'x'.repeat(1000), '2026-01-01T00:00Z']) {
    t.notOk(isTimezone(zone), zone)
    t.equal(calendar.local(zone, at('2026-06-10T10:00Z')).text, '10:00 (UTC)')
    t.equal(next('09:00', zone, '2026-06-10T06:00Z'), '2026-06-10T09:00Z')
  }
  for (const zone of ['Europe/Vienna', 'europe/vienna', 'UTC', 'Asia/Kolkata', 'Asia/Calcutta', 'EST5EDT']) {
    t.ok(isTimezone(zone), zone)
  }
})

t.test('what is written wrongly is refused with what to write', async (t) => {
  t.equal(localTimeProblem({ at: '23:59' }), undefined)
  t.equal(localTimeProblem({ at: '00:00', days: ['mon', 'sun'] }), undefined)
  t.equal(quietWindowProblem({ ...night, days: ['fri'] }), undefined)
  t.equal(quietWindowProblem({ from: '00:00', to: '00:00' }), undefined)
  for (const wrong of ['24:00', '9:00', '09:0', ' 09:00', '09:00\n', 9, null, undefined]) {
    t.match(localTimeProblem({ at: wrong }), /^`at` is not a time of day\. Write hours and minutes/)
    t.match(quietWindowProblem({ from: wrong, to: '07:00' }), /^`from` is not/)
    t.match(quietWindowProblem({ from: '22:00', to: wrong }), /^`to` is not/)
  }
  t.match(localTimeProblem({ at: '09:00', days: [] }), /^`days` names no day\. .* leave it out for every day/)
  t.match(localTimeProblem({ at: '09:00', days: 'mon' }), /^`days` names no day/)
  t.match(quietWindowProblem({ ...night, days: ['monday'] }), /^`days` has something .* Use mon, tue/)
  for (const wrong of ['09:00', null, ['09:00'], 9]) {
    t.match(localTimeProblem(wrong), /^A local time is an object\. Write/)
    t.match(quietWindowProblem(wrong), /^A quiet window is an object\. Write/)
  }
})
