import t from 'tap'
import { timeLine, wrapped } from './paragraphs.js'

t.test('a paragraph is broken between words, and no word is lost', async (t) => {
  const text = 'The run waits for the event rides.ride.paid.v1 with the key "r1".'
  const lines = wrapped(text, 24).split('\n')
  t.ok(lines.every((line) => line.length <= 24))
  t.equal(lines.join(' '), text)
  t.equal(wrapped('a-word-that-is-too-long b', 5), 'a-word-that-is-too-long\nb')
  t.equal(wrapped(text, Number.POSITIVE_INFINITY), text)
})

t.test('a time line has a line a moment, with the date where a day begins', async (t) => {
  const at = Date.UTC(2026, 10, 21, 12, 0, 1, 123)
  const moments = [
    { at, what: 'push to 1 device', why: 'accepted by fcm' },
    { at: at + 86_400_000, what: 'it was seen', why: 'in the inbox or on a device' },
  ]
  t.equal(
    timeLine(moments, 40),
    [
      '2026-11-21 (UTC)',
      '12:00:01.123  push to 1 device  accepted',
      '              by fcm',
      '2026-11-22 (UTC)',
      '12:00:01.123  it was seen  in the inbox',
      '              or on a device',
    ].join('\n'),
  )
})
