import t from 'tap'
import type { Call } from '../host/messages.js'
import { Tab } from './tab.js'

t.test('a host learns each wish once: by the hello, or behind it', async (t) => {
  const tab = new Tab(async () => '')
  const told: Call[] = []
  const port = {
    call: async (call: Call) => void told.push(call),
    answer: () => undefined,
    close: () => undefined,
  }
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
