import t from 'tap'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import type { DigestItem } from './index.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const digestItem = (data: unknown, index: number): DigestItem => ({
  run: `r${index}`,
  event: { id: `e${index}`, type: 'a.b', source: '/s', subject: null, time: null },
  data,
})
const event = eventOf({ customerId: 'ada' })

t.test('a wait and a digest, or two digests, send once', async (t) => {
  const push = { push: { content: { title: '{{ digest.count }}' } } }
  const workflow = workflowOf({
    steps: [{ wait: '1m' }, { digest: { window: '10m' } }, { digest: { window: '1h', key: '"all"' } }, push],
  })
  const facts = factsOf()
  const first = planned({ event, workflow, facts })
  t.match(first, { state: 'waiting', nextStep: 1 })
  const second = planned({
    event,
    workflow,
    facts,
    now: NOW + MINUTE,
    begunAt: NOW,
    fromStep: 1,
    resumeAt: NOW + MINUTE,
  })
  t.match(second, { state: 'digested', reason: 'DIGESTED', digest: { step: 1, key: '' }, content: {} })
  const digest = { key: '', items: [1, 2].map(digestItem) }
  const third = planned({ event, workflow, facts: { ...facts, digest }, now: NOW + 11 * MINUTE, fromStep: 2 })
  t.match(third, { state: 'digested', digest: { step: 2, key: 'all' }, content: {} })
  const last = planned({ event, workflow, facts: { ...facts, digest }, now: NOW + 2 * HOUR, fromStep: 3 })
  t.match(last, { state: 'completed', content: { '3': { title: '2' } } })
  const sent = [first, second, third, last].flatMap(({ steps }) =>
    steps.filter(({ outcome }) => outcome === 'deliver'),
  )
  t.equal(sent.length, 1)
})

t.test('a digest without the value of its key is an error which names the step', async (t) => {
  const workflow = workflowOf({ steps: [{ digest: { window: '1m', key: 'data.rideId' } }, 'push'] })
  t.throws(() => planned({ event, workflow, facts: factsOf() }), {
    name: 'RenderError',
    field: 'steps.0.digest.key',
  })
})

t.test('texts see what a digest gathered', async (t) => {
  const title =
    '{{ digest.count }} of {{ digest.total }}: {% for item in digest.items %}{{ item.n }} {% endfor %}({{ digest.first.n }} to {{ digest.last.n }})'
  const digest = {
    key: 'k',
    items: [{ n: 1, muted: true }, { n: 2 }, { n: 3 }, { n: 4, muted: true }].map(digestItem),
  }
  const muted = (channel: 'push' | 'email' | 'inbox' | null, text = 'has(data.muted)') => {
    const workflow = workflowOf({ if: text })
    return {
      category: null,
      channel,
      enabled: false,
      condition: { text, holds: workflow.condition as NonNullable<typeof workflow.condition> },
    }
  }
  const shown = (preferences: ReturnType<typeof muted>[], steps: unknown[] = ['inbox', 'push', 'email']) =>
    planned({
      event,
      workflow: workflowOf({ content: { title }, steps: [{ digest: { window: '1h' } }, ...steps] }),
      facts: factsOf({ digest, preferences }),
      fromStep: 1,
    })
  const titleOf = (plan: ReturnType<typeof shown>, step: number) =>
    (plan.content[step] ?? plan.content.inbox)?.title
  t.test('whole, when nothing is filtered', async (t) => {
    t.strictSame(shown([]).content, { inbox: { title: '4 of 4: 1 2 3 4 (1 to 4)' } })
  })
  t.test('item by item, as each channel may tell them', async (t) => {
    const plan = shown([muted('push')])
    t.strictSame(
      plan.steps.map(({ items }) => items),
      [undefined, [1, 2], undefined],
    )
    t.match(
      plan.steps[1]?.detail,
      /^2 of 4 items: the person has push on, since has\(data\.muted\) is not true/,
    )
    t.equal(plan.content.inbox?.title, '4 of 4: 1 2 3 4 (1 to 4)')
    t.equal(titleOf(plan, 2), '2 of 4: 2 3 (2 to 3)')
  })
  t.test('without what the inbox leaves out being left out elsewhere', async (t) => {
    const plan = shown([muted('inbox')])
    t.equal(plan.content.inbox?.title, '2 of 4: 2 3 (2 to 3)')
    t.equal(titleOf(plan, 2), '4 of 4: 1 2 3 4 (1 to 4)')
    t.equal(titleOf(plan, 3), '4 of 4: 1 2 3 4 (1 to 4)')
  })
  t.test('and a channel that may tell none of them is skipped with its reason', async (t) => {
    const plan = shown([muted('push', 'data.n > 0')])
    t.match(plan.steps[1], { outcome: 'skip', reason: 'UNSUBSCRIBED', detail: /data\.n > 0 is true$/ })
    t.match(plan.steps[2], { outcome: 'deliver' })
  })
  t.test('and conditions see how many there are', async (t) => {
    const more = [{ push: { if: 'run.count > 3' } }, { email: { if: 'run.count > 4' } }]
    t.strictSame(
      shown([], more).steps.map(({ outcome }) => outcome),
      ['deliver', 'skip'],
    )
  })
})

t.test("the inbox's own texts are not what the other steps say", async (t) => {
  const workflow = workflowOf({
    content: { title: 'Shared' },
    steps: [{ inbox: { content: { title: 'Inbox' } } }, 'push'],
  })
  const { content } = planned({ event, workflow, facts: factsOf() })
  t.strictSame([content.inbox?.title, content['1']?.title], ['Inbox', 'Shared'])
})
