import fc from 'fast-check'
import t from 'tap'
import { eventOf, workflowOf } from './fixtures/facts.js'
import { celScope, type RecipientSelection, recipientsOf, selectionOf } from './index.js'

const of = (written: object, data: unknown = {}): RecipientSelection =>
  recipientsOf(eventOf(data), workflowOf(written))
const everybody = (one: unknown) => (typeof one === 'string' ? one : (one as { id: string }).id)

t.test('a workflow names a group, and who has the directory looks it up', async (t) => {
  for (const [to, group] of [
    [{ role: 'driver' }, { kind: 'role', role: 'driver' }],
    [{ topic: 'city.vienna' }, { kind: 'topic', topic: 'city.vienna' }],
    [{ everyone: true }, { kind: 'everyone' }],
  ])
    t.strictSame(of({ to }), { users: [], groups: [group], excluded: new Set() })
})

t.test('a segment is judged for each person', async (t) => {
  const { groups } = of({ to: { segment: 'user.attributes.plan == "pro" && "driver" in user.roles' } })
  const [group] = groups
  t.match(group, { kind: 'segment', segment: /^user\.attributes/ })
  if (group?.kind !== 'segment') return
  const holds = (plan: unknown, roles: string[]) => {
    const user = {
      id: 'u',
      name: null,
      email: null,
      locale: 'en',
      timezone: 'UTC',
      roles,
      attributes: { plan },
    }
    const result = group.holds({ ...celScope(eventOf({})), user })
    return result.ok && result.value === true
  }
  t.strictSame(
    [holds('pro', ['driver']), holds('free', ['driver']), holds('pro', []), holds(undefined, [])],
    [true, false, false, false],
  )
})

t.test('an event names groups beside people, each once', async (t) => {
  const { users, groups } = of(
    {
      to: '[{"topic": "city." + data.city}, {"role": "driver"}, data.who, {"topic": "city.vienna"}, {"everyone": data.all}]',
    },
    { city: 'vienna', who: 'ada', all: true },
  )
  t.strictSame(users, ['ada'])
  t.strictSame(groups, [
    { kind: 'topic', topic: 'city.vienna' },
    { kind: 'role', role: 'driver' },
    { kind: 'everyone' },
  ])
})

t.test('an event can write no segment, no wildcard, and nobody by mistake', async (t) => {
  for (const who of [
    { segment: 'true' },
    { topic: 'city.*' },
    { topic: '' },
    { topic: 'a..b' },
    { role: '' },
    { role: 'x'.repeat(65) },
    { everyone: 'yes' },
    { everyone: 1 },
    { everyone: false },
  ])
    t.match(
      of({ to: 'data.who' }, { who }),
      { users: [], groups: [], problem: 'data.who names nobody' },
      JSON.stringify(who),
    )
  t.match(of({ to: 'data.who' }, { who: { id: 'ada', everyone: true, role: 'driver' } }), {
    users: [{ id: 'ada' }],
    groups: [],
  })
})

t.test('who did it is not told', async (t) => {
  const written = { to: 'data.members', exclude: 'data.actor' }
  t.match(of(written, { members: ['ada', 'bob'], actor: 'ada' }), {
    users: ['bob'],
    excluded: new Set(['ada']),
  })
  t.match(of(written, { members: ['ada', { id: '7' }], actor: ['ada', 7] }), {
    users: [],
    problem: 'data.members names nobody else',
  })
  t.match(of({ ...written, to: { topic: 'ride' } }, { actor: 'ada' }), {
    groups: [{ kind: 'topic' }],
    excluded: new Set(['ada']),
  })
  for (const actor of [null, {}, '', true])
    t.strictSame(of(written, { members: ['ada'], actor }).users, ['ada'])
  t.strictSame(of(written, { members: ['ada'] }).users, ['ada'], 'though nobody is named')
})

t.test('nobody is told twice and nobody excluded is told, whatever an event says', async (t) => {
  let cases = 0
  const id = fc.constantFrom<string[]>('a', 'b', 'c', '7')
  const entry = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.oneof(
        id,
        fc.constant(7),
        id.map((one) => ({ id: one, name: 'x' })),
      ),
    },
    fc.jsonValue(),
  )
  fc.assert(
    fc.property(fc.oneof(fc.array(entry), entry), fc.array(id), (value, excluded) => {
      cases++
      const { users, groups } = selectionOf(value, new Set(excluded))
      const ids = users.map(everybody)
      return (
        new Set(ids).size === ids.length &&
        ids.every((one) => one !== '' && one.length <= 256 && !excluded.includes(one)) &&
        groups.every(({ kind }) => kind !== 'segment')
      )
    }),
    { numRuns: 1_000 },
  )
  t.comment(`${cases} cases`)
})
