import t from 'tap'
import { eventOf, factsOf, planned, workflowOf } from './fixtures/facts.js'
import { type CompiledWorkflow, RenderError, templatesOf, usersOfTemplate } from './index.js'

const DATA = {
  customerId: 'ada',
  rideId: 'r-7',
  driver: 'Mira',
  minutes: 4,
  phone: '+431',
  note: ' two\nlines ',
  long: 'x'.repeat(3_000),
}
const EVENT = eventOf(DATA)
const contentOf = (workflow: CompiledWorkflow, changes: Partial<Parameters<typeof planned>[0]> = {}) =>
  planned({ event: EVENT, workflow, facts: factsOf(), ...changes }).content
const written = (content: object, step: unknown = 'push') => workflowOf({ content, steps: ['inbox', step] })
const inGerman = factsOf({ user: { locale: 'de-AT' } })

t.test('texts say everything that a notification can show', async (t) => {
  const content = {
    title: 'T {{ data.driver }}',
    subtitle: 'Ride\n{{ data.rideId }}',
    replyTo: '{{ data.rideId }}@rides.example',
    imageUrl: 'https://rides.example/{{ data.rideId }}.png',
    actions: [
      { id: 'call', title: 'Call {{ data.driver }}', url: 'tel:{{ data.phone }}' },
      { id: 'cancel', title: 'Cancel' },
      { id: 'rate', title: '{% if data.done %}Rate{% endif %}' },
    ],
    data: {
      ride: '{{ data.rideId }}',
      note: '{{ data.note }}',
      seats: 2,
      none: null,
      nested: { list: ['{{ data.minutes }} min', true] },
    },
  }
  const shown = {
    title: 'T Mira',
    subtitle: 'Ride r-7',
    replyTo: 'r-7@rides.example',
    imageUrl: 'https://rides.example/r-7.png',
    actions: [
      { id: 'call', title: 'Call Mira', url: 'tel:+431' },
      { id: 'cancel', title: 'Cancel' },
    ],
    data: { ride: 'r-7', note: ' two\nlines ', seats: 2, none: null, nested: { list: ['4 min', true] } },
  }
  t.strictSame(contentOf(written(content)), { inbox: shown })
  const own = contentOf(written({ title: 'Shared' }, { push: { content } }))
  t.strictSame(own['1']?.actions, shown.actions)
  t.equal(own['1']?.replyTo, undefined, 'a push is not answered by mail')
  t.strictSame(own.inbox, { title: 'Shared' })
})

t.test('buttons and data are told in the language of the reader', async (t) => {
  const workflow = workflowOf({
    content: {
      title: 'T',
      actions: [{ id: 'call', title: 'Call', url: 'tel:{{ data.phone }}' }],
      data: { kind: 'ride', label: 'Ride' },
    },
    locales: {
      de: {
        actions: [{ id: 'call', title: 'Anrufen' }],
        data: { label: 'Fahrt', more: '{{ data.driver }}' },
      },
      'de-AT': { data: { more: 'Servus' } },
    },
    steps: ['inbox', { push: { content: { data: { step: 'push' } } } }],
  })
  const { inbox, '1': push } = contentOf(workflow, { facts: inGerman })
  t.strictSame(inbox, {
    title: 'T',
    actions: [{ id: 'call', title: 'Anrufen', url: 'tel:+431' }],
    data: { kind: 'ride', label: 'Fahrt', more: 'Servus' },
  })
  t.strictSame(push?.data, { kind: 'ride', label: 'Fahrt', step: 'push', more: 'Servus' })
  t.strictSame(contentOf(workflow).inbox?.data, { kind: 'ride', label: 'Ride' })
  const removed = workflowOf({
    content: { title: 'T', actions: [{ id: 'a', title: 'A' }] },
    steps: [{ push: { content: { actions: [] } } }],
  })
  t.equal(contentOf(removed)['0']?.actions, undefined, 'a step takes them away')
})

t.test('what the event offers the app is kept beside what the workflow says', async (t) => {
  const event = eventOf({ ...DATA, notification: { a: 1, b: 2 } })
  const workflow = written({ title: 'T', data: { b: '{{ data.driver }}' } })
  t.strictSame(contentOf(workflow, { event }).inbox?.data, { a: 1, b: 'Mira' })
})

t.test(
  'a missing variable is told with its place, and so is what takes too long or is too long',
  async (t) => {
    const fails = (content: object, step: unknown = 'push') => {
      try {
        contentOf(written(content, step))
        return undefined
      } catch (error) {
        return error instanceof RenderError ? `${error.code} ${error.field}` : error
      }
    }
    const title = 'T'
    t.equal(fails({ title, data: { a: '{{ data.gone }}' } }), 'VARIABLE_MISSING content.data.a')
    t.equal(
      fails({ title, actions: [{ id: 'a', title: '{{ data.gone }}' }] }),
      'VARIABLE_MISSING content.actions.0.title',
    )
    t.equal(
      fails({ title }, { push: { overrides: { apns: { aps: { alert: '{{ data.gone }}' } } } } }),
      'VARIABLE_MISSING steps.1.push.overrides.apns.aps.alert',
    )
    const many = '{{ data.long }}'
    t.equal(fails({ title, data: { a: many, b: many } }), undefined)
    t.equal(fails({ title, data: { a: many, b: many, c: many } }), 'LIMIT content.data', 'all of it together')
    const slow = '{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}'
    t.match(fails({ title, data: { a: slow } }), /^LIMIT content\.data/)
  },
)

t.test('templates bring buttons and data', async (t) => {
  const templates = templatesOf([
    {
      key: 'ride',
      kind: 'content',
      locales: {
        default: { title: 'T', actions: [{ id: 'a', title: 'A' }], data: { template: 'x', layout: 'y' } },
      },
    },
  ])
  const workflow = workflowOf({ steps: [{ push: { template: 'ride' } }] }, templates)
  t.match(contentOf(workflow)['0'], {
    actions: [{ id: 'a', title: 'A' }],
    data: { template: 'x', layout: 'y' },
  })
})

t.test('keys of the app that look like templates are none, and partials in its texts are some', async (t) => {
  const { definition } = written({ title: 'T', data: { template: 'x', note: "{% render 'card' %}" } })
  const users = (kind: 'content' | 'partial', key: string) =>
    usersOfTemplate({ kind, key }, { workflows: [definition], templates: [] }).workflows
  t.strictSame(users('content', 'x'), [])
  t.strictSame(users('partial', 'card'), ['ride-accepted'])
})
