import type { DomainEvent } from '@carillon/contracts'
import { createCalendar, type Facts, plan } from '@carillon/decisions'
import t from 'tap'
import { asWorkflowSees, directWorkflow, NOTIFICATION_TYPE } from './assign.js'
import { createDirectWorkflows } from './direct-workflows.js'

const direct = createDirectWorkflows()
const eventOf = (data: object): DomainEvent => ({
  tenant: 'acme',
  lane: 'normal',
  id: 'e1',
  source: '/api',
  type: NOTIFICATION_TYPE,
  time: undefined,
  subject: undefined,
  data: { to: 'ada', channels: ['inbox', 'push'], ...data },
  dataJson: '',
  traceparent: undefined,
})
const FACTS: Facts = {
  user: {
    id: 'u-1',
    externalId: 'ada',
    email: null,
    phone: null,
    name: 'Ada',
    locale: 'en',
    timezone: null,
    roles: [],
    attributes: {},
    status: 'active',
  },
  devices: [{ id: 'd-1', kind: 'fcm', app: 'customer', status: 'active' }],
  category: null,
  preferences: [],
  tenantDefaults: [],
  quietHours: null,
  seenAt: null,
  cancelledAt: null,
  tenantLocale: 'en',
  tenantTimezone: 'UTC',
}
const contentOf = (data: object) => {
  const event = eventOf(data)
  const workflow = directWorkflow(event, direct)
  return plan({ event: asWorkflowSees(event), workflow, facts: FACTS, now: 0, calendar: createCalendar() })
    .content
}

t.test('a notification without a workflow says as much as one with it', async (t) => {
  const content = {
    title: 'T',
    subtitle: 'S',
    url: 'https://a.example/',
    imageUrl: 'https://a.example/a.png',
    replyTo: 'us@a.example',
    actions: [
      { id: 'a', title: 'A', url: 'https://a.example/a' },
      { id: 'b', title: 'B' },
    ],
  }
  const push = {
    sound: 'bell',
    collapseKey: 'ride 7',
    ttl: '0s',
    badge: 3,
    interruption: 'passive',
    unlessSeen: false,
  }
  t.strictSame(contentOf({ content, push, data: { ride: 7 } }), {
    inbox: { ...content, data: { ride: 7 } },
    '1': {
      options: {
        badge: 3,
        interruption: 'passive',
        unlessSeen: false,
        sound: 'bell',
        ttlSeconds: 0,
        collapseKey: 'ride 7',
      },
    },
  })
  t.strictSame(contentOf({ content: { title: 'T' } }), { inbox: { title: 'T' } })
})

t.test('nothing of it is evaluated', async (t) => {
  const liquid = '{{ user.id }}{% if %}'
  const content = { title: liquid, actions: [{ id: 'a', title: liquid, url: liquid }] }
  const push = { sound: liquid, threadId: liquid, collapseKey: '1 + 1' }
  const shown = contentOf({ content, push, data: { a: liquid } })
  t.strictSame(shown.inbox, { ...content, data: { a: liquid } })
  t.strictSame(shown['1']?.options, { sound: liquid, threadId: liquid, collapseKey: '1 + 1' })
})

t.test('one shape is compiled once, whatever its words are', async (t) => {
  const of = (title: string, sound: string) =>
    directWorkflow(eventOf({ content: { title, actions: [{ id: 'a', title }] }, push: { sound } }), direct)
  t.equal(of('one', 'bell'), of('two', 'horn'))
  t.not(of('one', 'bell'), directWorkflow(eventOf({ content: { title: 'one' } }), direct))
})

t.test('what is none is refused with its place', async (t) => {
  const refused = (data: object, field: string | RegExp) =>
    t.throws(() => contentOf({ content: { title: 'T' }, ...data }), { code: 'EVENT_INVALID', field })
  refused({ content: { title: 'T', actions: 'all' } }, 'data.content.actions')
  refused(
    { content: { title: 'T', actions: Array(6).fill({ id: 'a', title: 'A' }) } },
    'data.content.actions',
  )
  refused({ content: { title: 'T', actions: [{ id: 'a b', title: 'A' }] } }, 'content.actions.0.id')
  refused({ push: [] }, 'data.push')
  refused({ push: { if: 'true' } }, 'data.push.if')
  refused({ push: { sound: 7 } }, 'data.push.sound')
  refused({ push: { priority: '{{ 1 }}' } }, 'steps.1.push.priority')
})
