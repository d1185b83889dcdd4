import t from 'tap'
import { normalPhone } from './phone-number.js'

t.test('numbers are kept as E.164, however they were written', async (t) => {
  const written = [
    '+436601234567',
    ' +43 660 123 45 67 ',
    '0043 660/1234567',
    '+43 (0)660-123.45.67',
    '+43\u00a0660 1234567',
  ]
  for (const number of written) t.equal(normalPhone(number), '+436601234567', number)
})

t.test('a number that could be anybody’s, or nobody’s, is refused with what to write', async (t) => {
  for (const number of ['0660 1234567', '6601234567', 'call me', '', '43+6601234567']) {
    t.throws(
      () => normalPhone(number),
      { code: 'VALIDATION', message: /country code/, field: 'phone' },
      number,
    )
  }
  for (const number of ['+0660123456', '+43660', '+1234567890123456', '+43 660 1234x'])
    t.throws(() => normalPhone(number), { code: 'VALIDATION', message: /7 to 15 digits/ }, number)
})
