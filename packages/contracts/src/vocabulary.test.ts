import fc from 'fast-check'
import t from 'tap'
import { decodeAuditFact, decodeJob, decodeReceipt, isUuid } from './decode-messages.js'
import { durationMs } from './durations.js'
import { ContractError } from './errors.js'
import { DELIVERY_RANK, DELIVERY_STATUSES, type DeliveryStatus, isTerminal } from './words.js'

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const ID = '0197725a-9c7b-8abc-8def-0123456789ab'
const RECEIPT = {
  deliveryId: ID,
  runId: ID,
  userId: ID,
  channel: 'push',
  status: 'opened',
  at: 1_750_000_000_000,
  by: 'device',
}
const FULL_RECEIPT = {
  ...RECEIPT,
  attempt: 2,
  provider: 'fcm',
  providerId: '',
  reason: 'PROVIDER_REJECTED',
  detail: '',
}
const FACT = {
  id: 'fact-1',
  at: 1_750_000_000_000,
  actor: { kind: 'key', id: 'k1' },
  action: 'workflow.published',
  resource: 'hello',
  outcome: 'ok',
}

t.test('messages come back as they were sent, without what this version does not know', async (t) => {
  t.same(decodeJob(bytes({ deliveryId: ID, runId: ID, later: true })), { deliveryId: ID, runId: ID })
  t.same(decodeReceipt(bytes({ ...RECEIPT, later: true })), RECEIPT)
  t.same(decodeReceipt(bytes(FULL_RECEIPT)), FULL_RECEIPT)
  t.same(decodeAuditFact(bytes({ ...FACT, later: true })), FACT)
  const detailed = { ...FACT, correlationId: 'c', details: { n: 1, b: false, t: '' } }
  t.same(decodeAuditFact(bytes(detailed)), detailed)
})

const WRONG: readonly [
  decode: (body: Uint8Array) => unknown,
  right: object,
  field: string,
  values: unknown[],
][] = [
  [
    decodeJob,
    { deliveryId: ID, runId: ID },
    'deliveryId',
    [undefined, null, 7, '', ID.toUpperCase(), `${ID}0`],
  ],
  [decodeJob, { deliveryId: ID, runId: ID }, 'runId', [undefined, 'x', {}]],
  [decodeReceipt, FULL_RECEIPT, 'deliveryId', [undefined, 'x']],
  [decodeReceipt, FULL_RECEIPT, 'runId', [undefined, 'x']],
  [decodeReceipt, FULL_RECEIPT, 'userId', [undefined, 'ada']],
  [decodeReceipt, FULL_RECEIPT, 'channel', [undefined, 'pigeon', '', 'constructor']],
  [decodeReceipt, FULL_RECEIPT, 'status', [undefined, 'sent', 'OPENED']],
  [decodeReceipt, FULL_RECEIPT, 'by', [undefined, 'nobody']],
  [decodeReceipt, FULL_RECEIPT, 'at', [undefined, '2026-01-01', null, 1e300]],
  [decodeReceipt, FULL_RECEIPT, 'attempt', [null, '1', 1.5, -1]],
  [decodeReceipt, FULL_RECEIPT, 'provider', [null, 7]],
  [decodeReceipt, FULL_RECEIPT, 'providerId', [null, 7]],
  [decodeReceipt, FULL_RECEIPT, 'reason', [null, '', 'BECAUSE']],
  [decodeReceipt, FULL_RECEIPT, 'detail', [null, {}]],
  [decodeAuditFact, FACT, 'id', [undefined, '', 7]],
  [decodeAuditFact, FACT, 'at', [undefined, 'now']],
  [decodeAuditFact, FACT, 'actor', [undefined, 'ada', null, []]],
  [decodeAuditFact, FACT, 'actor.kind', [undefined]],
  [decodeAuditFact, FACT, 'action', [undefined, '']],
  [decodeAuditFact, FACT, 'resource', [undefined, '']],
  [decodeAuditFact, FACT, 'outcome', [undefined, 'maybe']],
  [decodeAuditFact, FACT, 'correlationId', [null, 7]],
  [decodeAuditFact, FACT, 'details', [null, [], 'x']],
]

t.test('every wrong field of a message is refused by its name', async (t) => {
  for (const [decode, right, field, values] of WRONG) {
    for (const value of values) {
      const wrong = field === 'actor.kind' ? { ...right, actor: { id: 'k1' } } : { ...right, [field]: value }
      const shown = `${decode.name}: ${field} ${JSON.stringify(value) ?? 'absent'}`
      t.throws(() => decode(bytes(wrong)), { code: 'MESSAGE_INVALID', field }, shown)
    }
  }
  const nested = { ...FACT, details: { deep: { secret: 1 } } }
  t.throws(() => decodeAuditFact(bytes(nested)), { code: 'MESSAGE_INVALID', field: 'details.deep' })
})

t.test('whatever the bytes are, a message is read or refused', async (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 30 }),
        fc.json().map((json) => new TextEncoder().encode(json)),
      ),
      fc.constantFrom(decodeJob, decodeReceipt, decodeAuditFact),
      (body, decode) => {
        try {
          decode(body)
          return true
        } catch (error) {
          return error instanceof ContractError && error.code === 'MESSAGE_INVALID'
        }
      },
    ),
    { numRuns: 2_000 },
  )
  t.notOk(isUuid('0197725A-9c7b-8abc-8def-0123456789ab'))
  t.comment('2000 cases')
})

/** What a reader of facts does with them: only a step forward counts. */
const fold = (facts: readonly DeliveryStatus[]): DeliveryStatus =>
  facts.reduce<DeliveryStatus>(
    (now, next) => (DELIVERY_RANK[next] > DELIVERY_RANK[now] ? next : now),
    'queued',
  )

t.test('folding facts in any order never lowers a rank, and nothing follows a last word', async (t) => {
  t.same(Object.keys(DELIVERY_RANK).sort(), [...DELIVERY_STATUSES].sort(), 'every status has a rank')
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...DELIVERY_STATUSES), { maxLength: 12 }),
      fc.nat(),
      (facts, seed) => {
        const turned = facts.map((_, index) => facts[(index + seed) % facts.length] as DeliveryStatus)
        if (DELIVERY_RANK[fold(facts)] !== DELIVERY_RANK[fold(turned)]) return false
        let last: DeliveryStatus = 'queued'
        for (let length = 1; length <= facts.length; length++) {
          const now = fold(facts.slice(0, length))
          if (DELIVERY_RANK[now] < DELIVERY_RANK[last]) return false
          if (DELIVERY_RANK[last] === 5 && now !== last) return false
          last = now
        }
        return true
      },
    ),
    { numRuns: 3_000 },
  )
  t.ok(isTerminal('delivered') && isTerminal('skipped'))
  t.notOk(isTerminal('sent') || isTerminal('retrying') || isTerminal('queued'))
  t.equal(fold(['delivered', 'sent']), 'delivered', 'a late sent undoes nothing')
  t.equal(fold(['sent', 'failed']), 'failed', 'a bounce undoes sent')
  t.equal(fold(['failed', 'delivered', 'expired']), 'delivered', 'proof of arrival outweighs giving up')
  t.comment('3000 cases')
})

t.test('a duration is a number and a unit, and nothing else', async (t) => {
  t.same(['1ms', '20s', '10m', '2h', '365d', '999999999d'].map(durationMs), [
    1,
    20_000,
    600_000,
    7_200_000,
    31_536_000_000,
    999_999_999 * 86_400_000,
  ])
  for (const wrong of ['', '0s', '01s', '1', 's', '1.5h', '-1s', '1 s', '1S', '1w', '1s\n', '1000000000d']) {
    t.equal(durationMs(wrong), undefined, JSON.stringify(wrong))
  }
})
