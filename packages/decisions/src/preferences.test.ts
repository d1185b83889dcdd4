import { CHANNELS, type Channel } from '@carillon/contracts'
import fc from 'fast-check'
import t from 'tap'
import { eventOf, factsOf, planned, workflowOf } from './fixtures/facts.js'
import {
  type CelScope,
  celScope,
  createCelCompiler,
  type Facts,
  judgePreferences,
  type Preference,
} from './index.js'

const compiler = createCelCompiler()
const when = (text: string): NonNullable<Preference['condition']> => {
  const compiled = compiler.compile(text)
  if (!compiled.ok) throw new Error(compiled.problem)
  return { text, holds: compiled.expression }
}
const word = (
  category: string | null,
  channel: Channel | null,
  enabled: boolean,
  text?: string,
): Preference =>
  text === undefined ? { category, channel, enabled } : { category, channel, enabled, condition: when(text) }
const rides = { key: 'rides', name: 'Rides', critical: false, defaults: {} }
const verdict = (facts: Partial<Facts>, data: unknown = {}) =>
  judgePreferences(factsOf({ category: rides, ...facts }), 'push', 'rides', celScope(eventOf(data)))

t.test('a condition says when a word holds, and the contrary holds else', async (t) => {
  const off = { preferences: [word('rides', 'push', false, 'data.price < 10')] }
  t.match(verdict(off, { price: 5 }), {
    enabled: false,
    reason: 'UNSUBSCRIBED',
    decidedBy: 'the person has category "rides" by push off, since data.price < 10 is true',
  })
  t.match(verdict(off, { price: 50 }), {
    enabled: true,
    decidedBy: 'the person has category "rides" by push on, since data.price < 10 is not true',
  })
  const on = { preferences: [word('rides', 'push', true, 'data.price < 10')] }
  t.equal(verdict(on, { price: 5 }).enabled, true)
  t.match(verdict(on, { price: 50 }), { enabled: false, reason: 'UNSUBSCRIBED' })
})

t.test('a condition that can not be judged does not hold', async (t) => {
  for (const data of [{}, null, { price: 'x' }]) {
    t.equal(verdict({ preferences: [word(null, null, false, 'data.price < 10')] }, data).enabled, true)
    t.equal(verdict({ preferences: [word(null, null, true, 'data.price < 10')] }, data).enabled, false)
  }
})

t.test('conditions stand in every layer, and the layer that decided is named', async (t) => {
  const layers: [string, Partial<Facts>, string][] = [
    ['the person on a category', { preferences: [word('rides', null, false, 'data.mute')] }, 'UNSUBSCRIBED'],
    ['the person on a channel', { preferences: [word(null, 'push', false, 'data.mute')] }, 'UNSUBSCRIBED'],
    ['the person on everything', { preferences: [word(null, null, false, 'data.mute')] }, 'UNSUBSCRIBED'],
    [
      'the tenant on both',
      { tenantDefaults: [word('rides', 'push', false, 'data.mute')] },
      'OPT_IN_REQUIRED',
    ],
    [
      'the tenant on a category',
      { tenantDefaults: [word('rides', null, false, 'data.mute')] },
      'OPT_IN_REQUIRED',
    ],
    [
      'the tenant on a channel',
      { tenantDefaults: [word(null, 'push', false, 'data.mute')] },
      'OPT_IN_REQUIRED',
    ],
  ]
  for (const [whose, facts, reason] of layers) {
    t.match(
      verdict(facts, { mute: true }),
      { enabled: false, reason, decidedBy: /since data\.mute is true$/ },
      whose,
    )
    t.match(
      verdict(facts, { mute: false }),
      { enabled: true, decidedBy: /since data\.mute is not true$/ },
      whose,
    )
  }
  const both = {
    preferences: [word('rides', null, true, 'data.mute')],
    tenantDefaults: [word('rides', null, false)],
  }
  t.match(verdict(both, { mute: true }), { enabled: true, decidedBy: /^the person has category "rides" on/ })
})

t.test('without an event a word is taken to hold, and its condition is told', async (t) => {
  const effective = (facts: Partial<Facts>) =>
    judgePreferences(factsOf({ category: rides, ...facts }), 'push')
  t.match(effective({ preferences: [word('rides', 'push', false, 'data.price < 10')] }), {
    enabled: false,
    decidedBy: 'the person has category "rides" by push off while data.price < 10',
  })
  t.match(effective({ tenantDefaults: [word(null, 'push', true, 'data.a')] }), {
    enabled: true,
    decidedBy: /on while data\.a$/,
  })
  t.match(effective({}), { enabled: true, decidedBy: 'nobody switched it off' })
  t.match(effective({ category: { ...rides, critical: true } }), { enabled: true, decidedBy: /is critical/ })
})

t.test('a step is judged by what its own event says', async (t) => {
  const workflow = workflowOf({ category: 'rides', steps: ['push'] })
  const facts = factsOf({ preferences: [word('rides', null, false, 'data.price < 10')] })
  const outcome = (price: number) =>
    planned({ event: eventOf({ customerId: 'ada', price }), workflow, facts }).steps[0]?.outcome
  t.strictSame([5, 50].map(outcome), ['skip', 'deliver'])
})

/** The rule as the design states it, in the plainest words. */
function expected(facts: Facts, channel: Channel, scope: CelScope): [boolean, string | undefined] {
  const { category, preferences, tenantDefaults } = facts
  if (category?.critical === true) return [true, undefined]
  const find = (words: readonly Preference[], ...places: [string | null, Channel | null][]) =>
    places
      .map(([c, ch]) => words.find((one) => one.category === c && one.channel === ch))
      .find((one) => one !== undefined)
  const says = ({ enabled, condition }: Preference) => {
    const result = condition?.holds(scope)
    return result === undefined || (result.ok && result.value === true) ? enabled : !enabled
  }
  const exact = find(preferences, ['rides', channel])
  if (exact !== undefined) return says(exact) ? [true, undefined] : [false, 'UNSUBSCRIBED']
  const questions = [
    {
      own: find(preferences, ['rides', null]),
      tenant: find(tenantDefaults, ['rides', channel], ['rides', null]),
      last: category?.defaults[channel],
    },
    {
      own: find(preferences, [null, channel], [null, null]),
      tenant: find(tenantDefaults, [null, channel], [null, null]),
      last: undefined,
    },
  ]
  for (const { own, tenant, last } of questions) {
    if (own !== undefined) {
      if (!says(own)) return [false, 'UNSUBSCRIBED']
    } else if (!(tenant === undefined ? (last ?? true) : says(tenant))) return [false, 'OPT_IN_REQUIRED']
  }
  return [true, undefined]
}

t.test('the first no in the order of the layers is the answer, whatever else was said', async (t) => {
  let cases = 0
  const conditions = [undefined, 'data.mute', '!data.mute', 'data.absent']
  const words = fc.uniqueArray(
    fc
      .tuple(
        fc.constantFrom('rides', 'offers', null),
        fc.constantFrom<(Channel | null)[]>('push', 'email', null),
        fc.boolean(),
        fc.constantFrom(...conditions),
      )
      .map((parts) => word(...parts)),
    { selector: ({ category, channel }) => `${category} ${channel}`, maxLength: 6 },
  )
  const defaults = fc.dictionary(fc.constantFrom(...CHANNELS), fc.boolean())
  fc.assert(
    fc.property(
      words,
      words,
      defaults,
      fc.boolean(),
      fc.boolean(),
      (preferences, tenantDefaults, defaults, critical, mute) => {
        cases++
        const facts = factsOf({
          preferences,
          tenantDefaults,
          category: { ...rides, defaults, critical: critical && mute },
        })
        const scope = celScope(eventOf({ mute }))
        return CHANNELS.every((channel) => {
          const { enabled, reason, decidedBy } = judgePreferences(facts, channel, 'rides', scope)
          return (
            decidedBy !== '' &&
            JSON.stringify([enabled, reason]) === JSON.stringify(expected(facts, channel, scope))
          )
        })
      },
    ),
    { numRuns: 1_500 },
  )
  t.comment(`${cases} cases, ${cases * CHANNELS.length} verdicts`)
})
