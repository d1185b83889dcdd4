import { randomBytes } from 'node:crypto'
import { verifyUnsubscribeToken } from '@carillon/channels'
import { UNSUBSCRIBE_PLACE } from '@carillon/contracts'
import type { ClaimedDelivery } from '@carillon/postgres'
import t from 'tap'
import { toOutgoing } from './outgoing.js'

const ID = '0197725a-9c7b-8abc-8def-0123456789ab'
const receiptKey = randomBytes(32)
const mail = (changes: Partial<ClaimedDelivery> = {}): ClaimedDelivery => ({
  runId: ID,
  id: ID,
  tenant: 'acme',
  userId: ID,
  channel: 'email',
  lane: 'normal',
  step: 1,
  status: 'sending',
  reason: null,
  attempt: 1,
  maxAttempts: 3,
  attemptsEach: 3,
  tried: [],
  unknowns: 0,
  pacedAt: null,
  unread: null,
  purpose: 'notify',
  expiresAt: null,
  claimedAt: new Date(),
  addressKind: 'email',
  address: 'ada@example.com',
  device: null,
  userName: null,
  workflowKey: 'offers',
  category: 'offers',
  critical: false,
  collapseKey: null,
  content: {
    inbox: {
      title: 'Offer',
      body: `End: ${UNSUBSCRIBE_PLACE}`,
      html: `<a href="${UNSUBSCRIBE_PLACE}">end</a>`,
    },
  },
  event: null,
  ...changes,
})
const messageOf = (delivery: ClaimedDelivery) => {
  const outgoing = toOutgoing(delivery, {
    receiptKey,
    publicUrl: 'https://bells.example/',
    secrets: [],
    nowMs: 0,
  })
  if ('reason' in outgoing) throw new Error(outgoing.reason)
  return outgoing.message
}

t.test('a mail says how to end its category, in its header and where its texts ask for it', async (t) => {
  const { listUnsubscribeUrl = '', body, html } = messageOf(mail())
  const [address, token = ''] = listUnsubscribeUrl.split('/v1/unsubscribe/')
  t.equal(address, 'https://bells.example')
  t.same(verifyUnsubscribeToken(receiptKey, token), { tenant: 'acme', userId: ID, category: 'offers' })
  t.equal(body, `End: ${listUnsubscribeUrl}`)
  t.equal(html, `<a href="${listUnsubscribeUrl}">end</a>`)
})

t.test('without a category it ends all mails', async (t) => {
  const token =
    messageOf(mail({ category: null }))
      .listUnsubscribeUrl?.split('/')
      .at(-1) ?? ''
  t.equal(verifyUnsubscribeToken(receiptKey, token).category, null)
})

t.test('a critical one has no header, since it can not be ended', async (t) => {
  const { listUnsubscribeUrl, html } = messageOf(mail({ critical: true }))
  t.equal(listUnsubscribeUrl, undefined)
  t.notMatch(html, UNSUBSCRIBE_PLACE)
})

t.test('nobody else can make the link, and a push has none', async (t) => {
  const token = messageOf(mail()).listUnsubscribeUrl?.split('/').at(-1) ?? ''
  t.throws(() => verifyUnsubscribeToken(randomBytes(32), token), { code: 'UNSUBSCRIBE_TOKEN_INVALID' })
  t.throws(() => verifyUnsubscribeToken(receiptKey, token.slice(4)), { code: 'UNSUBSCRIBE_TOKEN_INVALID' })
  t.throws(() => verifyUnsubscribeToken(receiptKey, ''), { code: 'UNSUBSCRIBE_TOKEN_INVALID' })
  const push = mail({
    channel: 'push',
    addressKind: 'device',
    device: { kind: 'fcm', app: 'default', address: { token: 't' }, status: 'active', activityToken: null },
  })
  t.equal(messageOf(push).listUnsubscribeUrl, undefined)
})

t.test('where the public address is not known, a mail has no link rather than a wrong one', async (t) => {
  const outgoing = toOutgoing(mail(), { receiptKey, publicUrl: undefined, secrets: [], nowMs: 0 })
  t.match(outgoing, { message: { body: 'End: ', html: '<a href="">end</a>' } })
  t.notMatch(JSON.stringify(outgoing), /listUnsubscribeUrl|unsubscribe\.invalid/)
})
