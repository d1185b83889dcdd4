import t from 'tap'
import { createCelCompiler } from './cel.js'
import { eventOf, workflowOf } from './fixtures/facts.js'
import { type CompiledWorkflow, createMatcher, matchExplain, recipientsOf } from './index.js'

const ACCEPTED = 'rides.ride.accepted.v1'

t.test('a matcher', async (t) => {
  const workflows = [
    workflowOf({ key: 'exact', on: ACCEPTED }),
    workflowOf({ key: 'list', on: ['a.b', ACCEPTED, 'a.b'] }),
    workflowOf({ key: 'below', on: ['rides.ride.*', 'rides.*', ACCEPTED] }),
    workflowOf({ key: 'other', on: 'rides.ride.paid.v1' }),
    workflowOf({ key: 'sibling', on: 'rides.ri.*' }),
    workflowOf({ key: 'vienna', on: ACCEPTED, if: 'data.city == "vienna"' }),
  ]
  const matcher = createMatcher(workflows)
  const keys = (matched: CompiledWorkflow[]) => matched.map((workflow) => workflow.key)

  t.test('begins each workflow that listens to the type once, however often it says so', async (t) => {
    const { matched, outcomes } = matcher(eventOf({ city: 'vienna' }))
    t.strictSame(keys(matched).sort(), ['below', 'exact', 'list', 'vienna'])
    t.equal(outcomes.length, 4)
    t.strictSame(keys(matcher(eventOf({}, { type: 'a.b' })).matched), ['list'])
    t.strictSame(keys(matcher(eventOf({}, { type: 'rides.x' })).matched), ['below'])
    t.strictSame(matcher(eventOf({}, { type: 'unheard.of' })), { matched: [], outcomes: [] })
    t.strictSame(matcher(eventOf({}, { type: 'rides' })).matched, [], 'a pattern needs something below it')
  })

  t.test('says why a workflow that listens did not begin', async (t) => {
    const outcome = (data: unknown) =>
      matcher(eventOf(data)).outcomes.find(({ workflow }) => workflow === 'vienna')
    t.strictSame(outcome({ city: 'linz' }), {
      workflow: 'vienna',
      version: 3,
      matched: false,
      reason: 'CONDITION_FALSE',
      detail: 'the condition data.city == "vienna" is false',
    })
    t.match(outcome({}), { reason: 'CONDITION_FALSE', detail: /could not be judged: No such key: city$/ })
    for (const data of [null, 'vienna', 7, ['vienna']])
      t.match(outcome(data), { matched: false, reason: 'CONDITION_FALSE' })
  })

  t.test('takes only true for true', async (t) => {
    const odd = createMatcher([workflowOf({ if: 'data.city' })])
    t.match(odd(eventOf({ city: 'vienna' })).outcomes[0], {
      matched: false,
      detail: /gives neither true nor false/,
    })
  })

  t.test('explains on demand what was never looked at', async (t) => {
    const [exact, , below, other, , vienna] = workflows as [CompiledWorkflow, ...CompiledWorkflow[]]
    t.match(matchExplain(eventOf({}), other as CompiledWorkflow), {
      matched: false,
      reason: 'NO_MATCH',
      detail: `it listens to rides.ride.paid.v1, not to ${ACCEPTED}`,
    })
    t.match(matchExplain(eventOf({}), exact), { matched: true })
    t.match(matchExplain(eventOf({}), below as CompiledWorkflow), { matched: true })
    t.match(matchExplain(eventOf({ city: 'graz' }), vienna as CompiledWorkflow), {
      matched: false,
      reason: 'CONDITION_FALSE',
    })
  })
})

t.test('recipients', async (t) => {
  const of = (to: unknown, data: unknown) => recipientsOf(eventOf(data), workflowOf({ to }))
  const users = (to: string, data: unknown) => {
    const selection = of(to, data)
    return selection.groups.length > 0 ? 'groups' : selection.users.length > 0 ? selection.users : 'none'
  }
  t.test('are an id, a person, or a list of either', async (t) => {
    t.strictSame(users('data.id', { id: 'ada' }), ['ada'])
    t.strictSame(users('data.id', { id: 4711 }), ['4711'])
    t.strictSame(users('data.ids', { ids: ['ada', { id: 'bob', email: 'bob@example.com' }, 7] }), [
      'ada',
      { id: 'bob', email: 'bob@example.com' },
      '7',
    ])
    t.strictSame(users('[data.a, data.b]', { a: 'ada', b: 'bob' }), ['ada', 'bob'])
    t.strictSame(users('{"id": data.a, "locale": "de"}', { a: 'ada' }), [{ id: 'ada', locale: 'de' }])
    t.strictSame(
      users('data.riders.filter(r, r.active).map(r, r.id)', {
        riders: [
          { id: 'a', active: true },
          { id: 'b', active: false },
        ],
      }),
      ['a'],
    )
  })
  t.test('are told once each; the first mention counts', async (t) => {
    t.strictSame(users('data.ids', { ids: ['ada', 'bob', 7, '7', { id: 'ada', name: 'Ada' }] }), [
      'ada',
      'bob',
      '7',
    ])
  })
  t.test('may be a role or a topic, whose members somebody else knows', async (t) => {
    t.match(of({ role: 'driver' }, {}), { users: [], groups: [{ kind: 'role', role: 'driver' }] })
    t.match(of({ topic: 'vienna' }, {}), { users: [], groups: [{ kind: 'topic', topic: 'vienna' }] })
  })
  t.test('that are nobody are a reason', async (t) => {
    for (const data of [
      { ids: [] },
      { ids: '' },
      { ids: [null, {}, '', true] },
      { ids: 'x'.repeat(257) },
      { ids: null },
    ])
      t.match(of('data.ids', data), { users: [], groups: [], problem: 'data.ids names nobody' })
    t.match(of('data.ids', {}), {
      users: [],
      groups: [],
      problem: 'data.ids could not be judged: No such key: ids',
    })
  })
  t.test('never carry what can not be stored', async (t) => {
    t.equal(users('data.id', { id: 'a\u0000b' }), 'none')
    t.equal(users('data.id', { id: 'a\ud800' }), 'none')
    t.strictSame(
      users('data.who', {
        who: {
          id: 'ada',
          name: 'A\u0000da',
          email: 'x'.repeat(321),
          phone: 7,
          roles: ['driver', 'x'.repeat(65), 3, 'a\u0000'],
          isAdmin: true,
        },
      }),
      [{ id: 'ada', name: 'Ada', roles: ['driver'] }],
    )
    t.strictSame(users('data.who', { who: { id: 'ada', phone: '0660 123' } }), [{ id: 'ada' }])
    const phone = '+436601234567'
    t.strictSame(users('data.who', { who: { id: 'ada', phone } }), [{ id: 'ada', phone }])
  })
  t.test('take nothing from prototypes', async (t) => {
    const hostile = JSON.parse('{"who":{"__proto__":{"id":"root","roles":["admin"]},"name":"x"}}') as unknown
    t.equal(users('data.who', hostile), 'none')
    t.equal(users('data.constructor', {}), 'none')
  })
})

t.test('expressions', async (t) => {
  const compiler = createCelCompiler()
  const event = { id: 'e', type: 'a.b', source: '/s', subject: null, time: null }
  const judge = (source: string, data: unknown = {}) => {
    const compiled = compiler.compile(source)
    if (!compiled.ok) return `refused: ${compiled.problem}`
    const result = compiled.expression({ data, event })
    return result.ok ? result.value : `no: ${result.problem}`
  }
  t.test('see data and the attributes of the event', async (t) => {
    t.equal(
      judge('event.type == "a.b" && event.subject == null && data.n > 3 && data.n < 4.5', { n: 4 }),
      true,
    )
    t.equal(judge('has(data.a) && data.a.b == 1', {}), false)
  })
  t.test('are refused when they name or do what they may not', async (t) => {
    t.match(judge('user.id == "x"'), /^refused: Unknown variable: user/)
    t.match(judge('data.a ==='), /^refused: /)
    t.match(judge('data.s.matches("^(a+)+$")'), /^refused: Regular expressions/)
    t.match(judge('data.l.join("")'), /^refused: join/)
    t.match(judge('data.a.exists(x, x.exists(y, y.exists(z, z)))'), /^refused: .*two deep/)
    t.match(judge(Array(6).fill('data.a.exists(x, x)').join(' || ')), /^refused: .*at most 4/)
    t.match(judge(`${'('.repeat(300)}1${')'.repeat(300)}`), /^refused: /)
    t.match(judge('1 + "a"'), /^refused: /)
  })
  t.test('that go through lists end soon, however long the lists are', async (t) => {
    const nested = 'data.l.exists(x, data.l.exists(y, x + y < 0.0))'
    const list = (length: number) => ({ l: Array.from({ length }, (_, index) => index + 0.5) })
    const begun = process.cpuUsage()
    t.match(judge(nested, list(100_000)), /^no: data holds more than 2000 values/)
    t.equal(judge(nested, list(1_500)), false)
    t.ok(process.cpuUsage(begun).user < 5_000_000)
    t.equal(judge('data.l[0] == 0.5', list(100_000)), true, 'other expressions may see any amount')
    t.match(judge('data.l.exists(x, x == 1.0)', { deep: { er: list(2_000) }, l: [] }), /^no: data holds/)
  })
  t.test('take nothing from prototypes', async (t) => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      t.match(judge(`data.${name} != null`), /^no: No such key/, name)
  })
})
