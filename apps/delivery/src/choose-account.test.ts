import type { Verdict } from '@carillon/channels'
import t from 'tap'
import type { OpenAccount, ReadyAccount } from './accounts.js'
import { chooseAccount } from './choose-account.js'
import { createCircuits } from './circuit.js'

const NOW = 1_790_000_000_000
const ready = (id: string): ReadyAccount => ({
  kind: 'ready',
  id,
  tenant: 'acme',
  provider: 'smtp',
  updatedAt: new Date(NOW),
  settings: {},
  quota: id,
  sender: { provider: 'smtp', send: async () => [], [Symbol.asyncDispose]: async () => undefined },
})
const held = (id: string, untilMs: number): OpenAccount => ({
  kind: 'held',
  id,
  provider: 'smtp',
  untilMs,
  reason: 'revoked',
})
const choose = (accounts: OpenAccount[], tried: string[] = [], circuits = createCircuits()) =>
  chooseAccount(accounts, tried, { circuits, nowMs: NOW, wanted: 'smtp' })

t.test('the first that is ready, in their order', async (t) => {
  t.match(choose([ready('a'), ready('b')]), { kind: 'ask', account: { id: 'a' }, left: 1 })
  t.match(choose([held('a', NOW + 5_000), ready('b')]), { kind: 'ask', account: { id: 'b' } })
})

t.test('one that has used its attempts up is left out, unless there is no other', async (t) => {
  t.match(choose([ready('a'), ready('b')], ['a']), { kind: 'ask', account: { id: 'b' }, left: 0 })
  t.match(choose([ready('a')], ['a', 'gone']), { kind: 'ask', account: { id: 'a' }, left: 0 })
})

t.test('an open circuit is passed over', async (t) => {
  const circuits = createCircuits()
  const away: Verdict[] = [{ kind: 'retry', reason: '503' }]
  for (let batch = 0; batch < 5; batch++) circuits.note('a', away, NOW)
  t.match(choose([ready('a'), ready('b')], [], circuits), { account: { id: 'b' } })
  t.match(choose([ready('a')], [], circuits), { kind: 'wait', provider: 'smtp' })
})

t.test('with nobody to ask it waits for the one that comes back soonest', async (t) => {
  t.match(choose([held('a', NOW + 60_000), held('b', NOW + 5_000)]), {
    kind: 'wait',
    notBeforeMs: NOW + 5_000,
  })
  t.match(choose([]), { kind: 'wait', reason: 'the tenant has no smtp credentials' })
})
