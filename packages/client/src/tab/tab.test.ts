import t from 'tap'
import type { Call } from '../host/messages.js'
import { Tab } from './tab.js'

/** A host that notes what it is asked, and answers. */
function useHost() {
  const told: Call[] = []
  const port = {
    call: async (call: Call) => void told.push(call),
    answer: () => undefined,
    close: () => undefined,
  }
  return { told, port }
}

t.test('a host learns each wish once: by the hello, or behind it', async (t) => {
  const tab = new Tab(async () => '')
  const { told, port } = useHost()
  tab.channel('room:a')
  t.match(tab.hello(), { wanted: false, channels: [{ name: 'room:a', handles: 1 }] })
  tab.want(true)
  tab.channel('room:b')
  tab.found(port)
  tab.inbox.setFilter('unread')
  t.same(
    told.map(({ name, args }) => [name, args[0]]),
    [
      ['want', true],
      ['join', 'room:b'],
      ['filter', 'unread'],
    ],
  )

  told.length = 0
  tab.lost()
  tab.want(false)
  t.match(tab.hello(), {
    wanted: false,
    filter: 'unread',
    channels: [{ name: 'room:a' }, { name: 'room:b' }],
  })
  tab.found(port)
  t.same(told, [], 'the next hello tells all of them')
})

t.test('what is asked before there is a host is asked in its order, and moments are over', async (t) => {
  const tab = new Tab(async () => '')
  const { told, port } = useHost()
  const room = tab.channel('room:a')
  tab.hello()
  const said = room.publish({ text: 'bye' })
  // a tab that becomes the host itself had none before
  tab.lost()
  void tab.call({ name: 'networkLost', args: [] })
  room.leave()
  tab.found(port)
  await said
  t.same(
    told.map(({ name }) => name),
    ['publish', 'leave'],
  )
})

t.test('an end that is older than the wish to connect takes nothing back', async (t) => {
  const tab = new Tab(async () => '')
  const { port } = useHost()
  const problem = { code: 'DISCONNECTED', message: 'too many connections' }
  tab.hello()
  tab.want(true)
  tab.found(port)
  tab.hear({ type: 'state', state: 'idle', problem })
  tab.hear({ type: 'state', state: 'connecting', problem: null })
  t.equal(tab.state, 'connecting')
  await Promise.resolve()
  tab.hear({ type: 'state', state: 'idle', problem })
  t.equal(tab.state, 'idle', 'a newer one does')
})

t.test('who connects and signs out in one breath is signed out', async (t) => {
  const tab = new Tab(async () => '')
  const call = async ({ name }: Call) => {
    if (name === 'signOut') tab.hear({ type: 'state', state: 'signed-out', problem: null })
  }
  tab.hello()
  tab.found({ call, answer: () => undefined, close: () => undefined })
  tab.want(true)
  await tab.call({ name: 'signOut', args: [] })
  t.equal(tab.state, 'signed-out')
  tab.dispose()
  t.throws(() => tab.channel('room:a'), { code: 'DISPOSED' })
})
