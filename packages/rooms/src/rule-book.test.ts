import type { ChannelRule } from '@carillon/contracts'
import t from 'tap'
import { createRuleBook, readChannelRules } from './rule-book.js'
import { createRuleCompiler } from './rule-compiler.js'

const rule = (namespace: string, more: Partial<ChannelRule> = {}): ChannelRule => ({
  namespace,
  authorise: false,
  allow: [],
  joins: true,
  schema: null,
  ...more,
})

t.test('reads the rules of a tenant once in ten seconds, and compiles only what changed', async (t) => {
  let now = 0
  let asked = 0
  let rules = [rule('ride'), rule('chat', { joins: false })]
  const book = createRuleBook({
    compiler: createRuleCompiler(),
    now: () => now,
    read: async () => {
      asked++
      return rules
    },
  })
  const [ride, chat, none] = await Promise.all(
    ['ride', 'chat', 'none'].map((namespace) => book.ruleOf('acme', namespace)),
  )
  t.equal(asked, 1, 'questions at the same time share one reading')
  t.equal(chat?.rule.joins, false)
  t.same(none?.rule.allow, ['presence', 'history'])
  rules = [rule('ride'), rule('chat', { authorise: true })]
  now = 9_999
  t.equal(await book.ruleOf('acme', 'chat'), chat)
  now = 10_000
  t.equal((await book.ruleOf('acme', 'chat')).rule.authorise, true)
  t.equal(await book.ruleOf('acme', 'ride'), ride, 'not compiled again')
  t.equal(asked, 2)
  book.forget('acme')
  await book.ruleOf('acme', 'ride')
  await book.ruleOf('globex', 'ride')
  t.equal(asked, 4, 'forgotten, and another tenant')
})

t.test(
  'what was read before a change is forgotten with it, and counts from when it was asked for',
  async (t) => {
    let now = 0
    const readings: ((rules: ChannelRule[]) => void)[] = []
    const book = createRuleBook({
      compiler: createRuleCompiler(),
      now: () => now,
      read: () => new Promise((resolve) => readings.push(resolve)),
    })
    const before = book.ruleOf('acme', 'ride')
    book.forget('acme')
    const after = book.ruleOf('acme', 'ride')
    t.equal(readings.length, 2, 'asked anew')
    readings[1]?.([rule('ride', { authorise: true })])
    t.equal((await after).rule.authorise, true)
    readings[0]?.([rule('ride')])
    t.equal((await before).rule.authorise, false)
    t.equal((await book.ruleOf('acme', 'ride')).rule.authorise, true, 'the older answer came last')

    const slow = book.ruleOf('globex', 'ride')
    now = 9_000
    readings[2]?.([rule('ride')])
    await slow
    now = 10_000
    void book.ruleOf('globex', 'ride')
    t.equal(readings.length, 4, 'ten seconds after it was asked for, not after it came')
  },
)

t.test('keeps rules in force for five minutes while they can not be read, and no longer', async (t) => {
  let now = 0
  let away = false
  let asked = 0
  const book = createRuleBook({
    compiler: createRuleCompiler(),
    now: () => now,
    read: async () => {
      asked++
      if (away) throw new Error('away')
      return [rule('ride', { authorise: true })]
    },
  })
  const known = await book.ruleOf('acme', 'ride')
  away = true
  now = 20_000
  t.equal(await book.ruleOf('acme', 'ride'), known)
  await book.ruleOf('acme', 'ride')
  t.equal(asked, 2, 'not asked again at once')
  now = 300_001
  await t.rejects(book.ruleOf('acme', 'ride'), { message: 'away' })
  await t.rejects(
    book.ruleOf('globex', 'ride'),
    { message: 'away' },
    'never known: nobody is let in by default',
  )
  away = false
  t.ok((await book.ruleOf('acme', 'ride')).rule.authorise)
})

t.test('an answer of another process is read, not believed', async (t) => {
  const good = rule('ride', { allow: ['publish'], schema: { type: 'object' } })
  t.same(readChannelRules({ rules: [good], more: 1 }), [good])
  t.same(readChannelRules({ rules: [{ ...good, allow: ['publish', 'fly'], evil: 1 }] }), [good])
  for (const answer of [null, [], {}, { rules: 5 }, { rules: [{ ...good, namespace: 'a.b' }] }]) {
    t.throws(() => readChannelRules(answer), { code: 'RULES_UNREADABLE' })
  }
  for (const broken of [
    { allow: 'all' },
    { joins: 1 },
    { authorise: null },
    { schema: [] },
    { schema: true },
  ]) {
    t.throws(() => readChannelRules({ rules: [{ ...good, ...broken }] }), { code: 'RULES_UNREADABLE' })
  }
})
