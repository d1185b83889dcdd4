import { type Carillon, type ClientStorage, type InboxItem, UnauthorizedError } from '@carillon/client'
import { eventually } from '@carillon/testkit'
import t, { type Test } from 'tap'
import type { RunningMesh } from '../src/mesh/up.js'
import {
  inboxAtServer,
  newPerson,
  signToken,
  useClient,
  useMesh,
  useNetwork,
  whenHandled,
  whenReady,
} from './client-world.js'

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)
const bodies = (client: Carillon) => client.inbox.getSnapshot().items.map(({ body }) => body)
const unread = (client: Carillon) => client.inbox.getSnapshot().unread

t.test('the client in Node', async (t) => {
  const mesh = await useMesh(t)
  for (const transports of ['websocket', 'sse'] as const) {
    await t.test(`the inbox over ${transports}`, (t) => inbox(t, mesh, transports))
  }
  await t.test('marks without a network', (t) => withoutNetwork(t, mesh))
  await t.test('a refused mark', (t) => refused(t, mesh))
  await t.test('a connection that is cut again and again', (t) => cutAgainAndAgain(t, mesh))
  await t.test('tokens', (t) => tokens(t, mesh))
})

async function inbox(t: Test, mesh: RunningMesh, transports: 'websocket' | 'sse'): Promise<void> {
  const { user, ring } = await newPerson(mesh)
  await ring('before')
  // a frame that came after it connected would announce it
  await whenHandled(mesh)
  t.equal((await inboxAtServer(mesh, user)).unread, 1)
  const here = useClient(t, mesh, { user, transports, pageSize: 2 })
  const there = useClient(t, mesh, { user, transports })
  const arrived: string[] = []
  here.onNotification(({ body }) => arrived.push(body))
  t.equal(here.state, 'idle')
  here.connect()
  there.connect()
  t.equal(here.state, 'connecting')
  await whenReady(here)
  await whenReady(there)
  t.same(bodies(here), ['before'], 'what was there')
  t.same(arrived, [], 'is not announced')
  const snapshot = here.inbox.getSnapshot()
  t.equal(here.inbox.getSnapshot(), snapshot, 'the same until something changes')

  for (const text of ['one', 'two', 'three']) await ring(text)
  await eventually(() => arrived.length === 3)
  t.same([...arrived].sort(), ['one', 'three', 'two'], 'each announced once')
  await eventually(() => unread(here) === 4 && bodies(here).length === 4)
  t.not(here.inbox.getSnapshot(), snapshot)

  const [newest] = here.inbox.getSnapshot().items as [InboxItem]
  const reading = here.inbox.read([newest.id])
  await Promise.resolve()
  t.not(here.inbox.getSnapshot().items[0]?.readAt, null, 'a mark shows before the server has it')
  t.equal(unread(here), 3)
  await reading
  t.equal((await inboxAtServer(mesh, user)).unread, 3)
  await eventually(() => unread(there) === 3 && bodies(there).length === 4)
  t.pass('and on the other device')

  await there.inbox.snooze([newest.id], new Date(Date.now() + 3_600_000))
  await there.inbox.archive([there.inbox.getSnapshot().items[0]?.id ?? ''])
  await eventually(() => bodies(here).length === 2)
  await here.inbox.setFilter('snoozed')
  t.same(bodies(here), [newest.body])
  await here.inbox.unsnooze([newest.id])
  t.same(bodies(here), [])
  await here.inbox.setFilter('archived')
  t.equal(bodies(here).length, 1)
  await here.inbox.remove([here.inbox.getSnapshot().items[0]?.id ?? ''])
  t.same(bodies(here), [])
  await here.inbox.setFilter('all')
  await eventually(() => bodies(here).length === 3 && bodies(there).length === 3)
  await here.inbox.readAll()
  await eventually(() => unread(here) === 0 && unread(there) === 0)
  t.equal((await inboxAtServer(mesh, user)).unread, 0)

  for (const n of range(1, 5)) await ring(`more ${n}`)
  await eventually(async () => (await inboxAtServer(mesh, user)).unread === 5)
  const late = useClient(t, mesh, { user, transports, pageSize: 3 })
  await late.inbox.load()
  t.equal(late.inbox.getSnapshot().items.length, 3, 'a page, also without a connection')
  t.ok(late.inbox.getSnapshot().hasMore)
  t.equal(unread(late), 5, 'the count is of all')
  while (late.inbox.getSnapshot().hasMore) await late.inbox.loadMore()
  const all = (await inboxAtServer(mesh, user)).notifications.map(({ id }) => id)
  t.same(
    late.inbox.getSnapshot().items.map(({ id }) => id),
    all,
  )
}

function storageOf(kept: Map<string, string>): ClientStorage {
  return {
    get: async (key) => kept.get(key) ?? null,
    set: async (key, value) => void kept.set(key, value),
    remove: async (key) => void kept.delete(key),
  }
}

async function withoutNetwork(t: Test, mesh: RunningMesh): Promise<void> {
  const { user, ring } = await newPerson(mesh)
  for (const n of range(1, 3)) await ring(`number ${n}`)
  await eventually(async () => (await inboxAtServer(mesh, user)).unread === 3)
  const network = await useNetwork(t, mesh)
  const kept = new Map<string, string>()
  const first = useClient(t, mesh, {
    user,
    url: network.url,
    transports: 'websocket',
    storage: storageOf(kept),
  })
  const states: string[] = []
  first.onState((state) => states.push(state))
  first.connect()
  await whenReady(first)
  const [a, b, c] = first.inbox.getSnapshot().items.map(({ id }) => id) as [string, string, string]

  network.down()
  await eventually(() => first.state === 'offline')
  t.same(states.slice(0, 2), ['connecting', 'connected'])
  await first.inbox.read([a, b])
  await first.inbox.unread([a])
  await first.inbox.archive([c])
  t.same(
    first.inbox.getSnapshot().items.map(({ id, readAt }) => [id, readAt !== null]),
    [
      [a, false],
      [b, true],
    ],
  )
  t.equal(unread(first), 1, 'all shown without a network')
  t.equal((await inboxAtServer(mesh, user)).unread, 3, 'and not sent')
  await first.dispose()

  const second = useClient(t, mesh, {
    user,
    url: network.url,
    transports: 'websocket',
    storage: storageOf(kept),
  })
  await eventually(() => second.inbox.getSnapshot().items.length === 2)
  t.equal(unread(second), 1, 'the next visit shows what was kept, and the marks that wait')
  network.up()
  second.connect()
  await whenReady(second)
  await eventually(async () => {
    const { notifications } = await inboxAtServer(mesh, user)
    return (
      notifications.length === 2 && notifications.every(({ id, readAt }) => (readAt !== null) === (id === b))
    )
  })
  t.pass('sent when there is one again: the last mark won')
  await eventually(() => ![...kept.keys()].some((key) => key.includes('marks')))
  await second.signOut()
  t.equal(second.state, 'signed-out')
  t.same(second.inbox.getSnapshot().items, [])
  await eventually(() => kept.size === 0)
  t.pass('and nothing is kept after signing out')
}

async function refused(t: Test, mesh: RunningMesh): Promise<void> {
  const { user, ring } = await newPerson(mesh)
  await ring('it')
  await eventually(async () => (await inboxAtServer(mesh, user)).unread === 1)
  const client = useClient(t, mesh, { user })
  client.connect()
  await whenReady(client)
  const ids = client.inbox.getSnapshot().items.map(({ id }) => id)
  const snoozing = client.inbox.snooze(ids, new Date(Date.now() - 86_400_000))
  await Promise.resolve()
  t.same(bodies(client), [], 'shown at once')
  await t.rejects(snoozing, { name: 'CarillonError', status: 400 })
  t.same(bodies(client), ['it'], 'and taken back')
  t.match(client.inbox.getSnapshot().error, { code: String, message: String })
}

async function cutAgainAndAgain(t: Test, mesh: RunningMesh): Promise<void> {
  const { user, ring } = await newPerson(mesh)
  const network = await useNetwork(t, mesh)
  const client = useClient(t, mesh, { user, url: network.url })
  const arrived: string[] = []
  client.onNotification(({ body }) => arrived.push(body))
  client.connect()
  await whenReady(client)
  for (const n of range(1, 20)) {
    await ring(`number ${n}`)
    if (n % 4 === 0) {
      network.cut()
      const [newest] = client.inbox.getSnapshot().items
      if (newest !== undefined) void client.inbox.read([newest.id])
    }
  }
  await eventually(() => arrived.length >= 20, { timeoutMs: 90_000 })
  t.equal(new Set(arrived).size, arrived.length, 'nothing twice')
  t.equal(arrived.length, 20, 'nothing lost')
  await eventually(
    async () => {
      const server = await inboxAtServer(mesh, user)
      const here = client.inbox.getSnapshot()
      const facts = (items: readonly { id: string; readAt: string | null }[]) =>
        JSON.stringify(items.map(({ id, readAt }) => [id, readAt !== null]))
      return unread(client) === server.unread && facts(here.items) === facts(server.notifications)
    },
    { timeoutMs: 60_000 },
  )
  t.pass('in the end it shows what the server has')
}

async function tokens(t: Test, mesh: RunningMesh): Promise<void> {
  for (const transports of ['websocket', 'sse'] as const) {
    await t.test(`over ${transports}`, async (t) => {
      const { user } = await newPerson(mesh)
      let asked = 0
      let mode: 'short' | 'nobody' = 'short'
      const client = useClient(t, mesh, {
        user,
        transports,
        getToken: async () => {
          asked += 1
          if (mode === 'nobody') throw new UnauthorizedError()
          return signToken(mesh, user, { seconds: 12 })
        },
      })
      client.connect()
      await whenReady(client)
      await eventually(() => asked >= 2)
      t.pass('a token is renewed before its end')
      await eventually(() => client.state === 'connected')
      mode = 'nobody'
      await eventually(() => client.state === 'signed-out')
      t.match(client.error, { code: 'UNAUTHORIZED' })

      const stranger = useClient(t, mesh, {
        user,
        transports: 'websocket',
        getToken: async () => signToken(mesh, user, { key: Buffer.alloc(32).toString('base64url') }),
      })
      stranger.connect()
      await eventually(() => stranger.state === 'signed-out')
      t.pass('a token of somebody else signs nobody in')
    })
  }
  await t.test('each connection has the token of who is signed in then', async (t) => {
    const [ada, ben] = [await newPerson(mesh), await newPerson(mesh)]
    const answers = [
      signToken(mesh, ada.user, { key: Buffer.alloc(32).toString('base64url') }),
      signToken(mesh, ada.user),
      signToken(mesh, ben.user),
    ]
    const client = useClient(t, mesh, {
      shareTabs: false,
      storage: false,
      transports: 'websocket',
      getToken: async () => answers.shift() ?? '',
    })
    client.connect()
    await eventually(() => client.state === 'signed-out')
    client.connect()
    await whenReady(client)
    await ada.ring('for Ada')
    await eventually(() => client.inbox.getSnapshot().items.length === 1)
    await client.signOut()
    client.connect()
    await whenReady(client)
    await ben.ring('for Ben')
    await eventually(() => client.inbox.getSnapshot().items.length === 1)
    t.match(client.inbox.getSnapshot().items, [{ body: 'for Ben' }])
  })
}
