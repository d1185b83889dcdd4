import t from 'tap'
import { causeOf, enhancedStatusIn, statusFromWords } from './status.js'

t.test('a status is read where a server says one, and nowhere else', async (t) => {
  const statuses: [string, string | undefined][] = [
    ['550 5.1.1 <a@b.example>: Recipient address rejected', '5.1.1'],
    ['550-5.7.26 first line', '5.7.26'],
    ['said: 452 4.2.2 full', '4.2.2'],
    ['no mailbox here by that name. (#5.1.1)', '5.1.1'],
    ['<mx.corp.example #5.1.1>', '5.1.1'],
    ['by mx 4.94.2 with 550 5.2.1 disabled', '5.2.1'],
    ['host 5.1.2.3 said no', undefined],
    ['version 15.1.1 and 5.1.1234 and 5.9.1', undefined],
    ['', undefined],
  ]
  for (const [text, expected] of statuses) t.equal(enhancedStatusIn(text), expected, text)
})

t.test('words stand in for a status that is missing', async (t) => {
  const statuses: [string, string | undefined][] = [
    ['550 No such user here', '5.1.1'],
    ['The e-mail account does not exist at the organization', '5.1.1'],
    ['552 mailbox is full', '5.2.2'],
    ['452 try again', '4.2.2'],
    ['user is over quota', '5.2.2'],
    ['421 too busy', '4.0.0'],
    ['450 user unknown today', '4.0.0'],
    ['550 rejected', '5.0.0'],
    ['550 5.0.0 User unknown', '5.1.1'],
    ['Unrouteable address', '5.1.1'],
    ['Call 5501234 or room 4500', undefined],
    ['It failed, and 999 reasons were', undefined],
  ]
  for (const [text, expected] of statuses) t.equal(statusFromWords(text), expected, text)
})

t.test('only a mailbox that is not there is an address that is wrong', async (t) => {
  const causes: [string, string, string][] = [
    ['5.1.1', '', 'address'],
    ['5.1.10', '', 'address'],
    ['5.1.2', '', 'address'],
    ['5.2.1', '', 'address'],
    ['5.4.1', '550 5.4.1 Recipient address rejected: Access denied', 'address'],
    ['5.4.4', '', 'address'],
    ['5.4.310', '', 'address'],
    ['5.2.2', '', 'mailbox-full'],
    ['4.2.2', '', 'mailbox-full'],
    ['4.4.1', '', 'unavailable'],
    ['5.4.7', '', 'unavailable'],
    ['5.4.300', '', 'unavailable'],
    ['5.3.2', '', 'unavailable'],
    ['5.4.14', '', 'rejected'],
    ['5.1.8', 'sender address rejected', 'rejected'],
    ['5.2.3', '', 'rejected'],
    ['5.3.4', '', 'rejected'],
    ['5.7.1', 'user unknown', 'rejected'],
    ['5.0.0', '550 user unknown', 'address'],
    ['5.0.0', '550 no', 'address'],
    ['5.0.0', '550 message blocked as spam', 'rejected'],
    ['5.0.0', '554 no', 'rejected'],
    ['5.1.0', '550 5.1.0 sender rejected', 'rejected'],
    ['5.2.0', 'mailbox quota exceeded', 'mailbox-full'],
  ]
  for (const [status, diagnostic, expected] of causes) {
    t.equal(causeOf(status, diagnostic), expected, `${status} ${diagnostic}`)
  }
})
