import t from 'tap'
import { ChannelLog, type Stretch } from './channel-log.js'
import { checkReaders, type Heard, type ReaderNotes } from './reader-checks.js'

const ORDER = '5 readers see frames in order, each once'
const GAPS = '5 readers miss no frame without being told'
const SAME = '5 readers see the same frame at the same place'
const SAID = '5 nothing is heard in the room that nobody said'
const TOLD = '5 readers are told when NATS lost its memory'
const UNDERSTOOD = '5 readers understand what they are told'

/** When NATS was killed, and when readers heard of it. */
const KILLED_AT = 1_000
const RESET_AT = 1_100

/** Three readers, two of one user, before and after a kill of NATS; each time frames at 11, 12 … of either channel. */
function honest(): { heard: Heard; ada: ReaderNotes; adaAgain: ReaderNotes; bob: ReaderNotes } {
  const [ada, adaAgain, bob] = [
    reader('ada by SSE', 'ada'),
    reader('ada by polls', 'ada'),
    reader('bob by SSE', 'bob'),
  ] as const
  const attempted = new Set(Array.from({ length: 40 }, (_, n) => n))
  return {
    heard: { readers: [ada, adaAgain, bob], attempted, natsKilledAt: [KILLED_AT] },
    ada,
    adaAgain,
    bob,
  }
}

function reader(name: string, user: string): ReaderNotes {
  return {
    plan: { name, user },
    personal: log((offset) => `notification.created ${user}-${offset}`),
    room: log((offset) => String(offset)),
    misunderstood: [],
  }
}

function log(whatAt: (offset: number) => string): ChannelLog {
  const made = new ChannelLog()
  const seen = (first: number, at: number) =>
    Array.from({ length: 6 }, (_, index) => ({
      offset: first + index,
      what: whatAt(first + index),
      at: at + index,
    }))
  made.stretches.push({
    epoch: 'before',
    from: 10,
    began: 0,
    seen: seen(11, 900),
    reset: { reason: 'epoch', at: RESET_AT },
  })
  made.stretches.push({ epoch: 'after', from: 20, began: RESET_AT, seen: seen(21, 1_200) })
  return made
}

const first = (log: ChannelLog): Stretch => log.stretches[0] as Stretch
const second = (log: ChannelLog): Stretch => log.stretches[1] as Stretch

const broken = (heard: Heard) =>
  checkReaders(heard)
    .filter((invariant) => invariant.broken > 0)
    .map(({ name }) => name)

t.test('honest readers break nothing, and all of it was checked', async (t) => {
  const { heard } = honest()
  t.same(broken(heard), [])
  for (const { name, checked } of checkReaders(heard)) t.ok(checked > 0, name)
})

type Honest = ReturnType<typeof honest>

/** What a server or a reader may do wrong, and which invariants tell of it. */
const WRONGS: readonly { wrong: string; plant(world: Honest): void; tells: string[] }[] = [
  {
    wrong: 'a frame of the own channel that one reader is not shown',
    plant: ({ ada }) => second(ada.personal).seen.splice(2, 1),
    tells: [GAPS],
  },
  {
    wrong: 'the last frame that one reader is not shown',
    plant: ({ ada }) => second(ada.personal).seen.pop(),
    tells: [GAPS],
  },
  {
    wrong: 'the first frame after a reset that one reader is not shown',
    plant: ({ ada }) => second(ada.personal).seen.shift(),
    tells: [GAPS],
  },
  {
    wrong: 'a frame of the room that one reader is not shown',
    plant: ({ bob }) => first(bob.room).seen.splice(2, 1),
    tells: [GAPS],
  },
  {
    wrong: 'a frame of the room that nobody is shown',
    plant: ({ heard }) => {
      for (const { room } of heard.readers) second(room).seen.splice(2, 1)
    },
    tells: [GAPS],
  },
  {
    wrong: 'a frame that comes twice',
    plant: ({ ada }) => {
      const { seen } = second(ada.personal)
      seen.splice(2, 0, { ...(seen[2] as Stretch['seen'][number]) })
    },
    tells: [ORDER],
  },
  {
    wrong: 'a notification that is announced again at another place',
    plant: ({ heard }) => {
      for (const { personal } of heard.readers) {
        const { seen } = second(personal)
        seen.push({ ...(seen[2] as Stretch['seen'][number]), offset: 30 })
      }
    },
    tells: [ORDER],
  },
  {
    wrong: 'two frames that change places',
    plant: ({ ada }) => second(ada.personal).seen.reverse(),
    tells: [ORDER],
  },
  {
    wrong: "somebody else's frame",
    plant: ({ ada, bob }) => {
      const frame = second(bob.personal).seen[2] as Stretch['seen'][number]
      second(ada.personal).seen.splice(2, 1, { ...frame })
    },
    tells: [SAME],
  },
  {
    wrong: 'a word in the room that nobody said',
    plant: ({ heard }) => {
      for (const { room } of heard.readers) {
        const [last] = second(room).seen.slice(-1) as [Stretch['seen'][number]]
        last.what = '99'
      }
    },
    tells: [GAPS, SAID],
  },
  {
    wrong: 'a restart of NATS that one reader is not told of',
    plant: ({ ada }) => {
      const { stretches } = ada.room
      const [before, after] = stretches.splice(0) as [Stretch, Stretch]
      const { reset: _, ...whole } = before
      stretches.push({ ...whole, epoch: 'after', seen: [...before.seen, ...after.seen] })
    },
    tells: [GAPS, TOLD],
  },
  {
    wrong: 'a new epoch that begins in silence',
    plant: ({ ada }) => {
      const { stretches } = ada.personal
      const [before, after] = stretches.splice(0) as [Stretch, Stretch]
      const { reset: _, ...silent } = before
      stretches.push(silent, after)
    },
    tells: [TOLD],
  },
  {
    wrong: 'an answer that can not be understood',
    plant: ({ bob }) => (bob.misunderstood as string[]).push('bob by SSE: no position'),
    tells: [UNDERSTOOD],
  },
]

for (const { wrong, plant, tells } of WRONGS) {
  t.test(`${wrong} is told of`, async (t) => {
    const world = honest()
    plant(world)
    t.same(broken(world.heard), tells)
  })
}

t.test('what comes between a kill of NATS and the reset may be of a tail that was lost', async (t) => {
  const { heard, ada } = honest()
  first(ada.room).seen.push(
    { offset: 17, what: '19', at: KILLED_AT + 1 },
    { offset: 17, what: '19', at: KILLED_AT + 2 },
  )
  t.same(broken(heard), [])
  first(ada.room).seen.push({ offset: 18, what: '19', at: KILLED_AT - 1 })
  t.same(broken(heard), [GAPS], 'what came before it may not')
})

t.test('a reader keeps the stretches of a channel apart by epoch', async (t) => {
  const log = new ChannelLog()
  log.begin({ epoch: undefined, offset: 3 })
  log.see({ epoch: 'one', offset: 4 }, 'a')
  log.see({ epoch: undefined, offset: 5 }, 'b')
  log.reset('epoch', { epoch: 'two', offset: 1 })
  log.see({ epoch: 'three', offset: 2 }, 'c')
  t.match(log.stretches, [
    { epoch: 'one', from: 3, seen: [{ what: 'a' }, { what: 'b' }], reset: { reason: 'epoch' } },
    { epoch: 'two', from: 1, seen: [] },
    { epoch: 'three', from: 1, seen: [{ what: 'c' }] },
  ])
})
