import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eventually, type TestScope, useChromium, useNginx, useRedis } from '@carillon/testkit'
import t from 'tap'
import { useForwarder } from './forwarder.js'
import { createWriter, personal, range, signToken, useLive, useNode } from './mesh.js'

/** What any page does with what its browser has: no library. */
const PAGE = `<!doctype html><title>App</title><script>
const seen = [], resets = [], problems = []
let readies = 0
const number = (frame) => frame.notification.data.n
function listen(url) {
  const source = new EventSource(url, { withCredentials: true })
  source.addEventListener('ready', () => readies++)
  source.addEventListener('reset', ({ data }) => resets.push(data))
  source.addEventListener('message', ({ data }) => seen.push(number(JSON.parse(data))))
  source.addEventListener('error', () => { if (source.readyState === 2) problems.push('closed for good') })
}
async function listenByTicket(base, token) {
  const answer = await fetch(base + '/v1/sse/ticket', {
    method: 'POST', credentials: 'include', headers: { authorization: 'Bearer ' + token },
  })
  const { ticket } = await answer.json()
  listen(base + '/v1/sse?channel=user&ticket=' + ticket)
}
let position
function connect(base, token) {
  const socket = new WebSocket(base.replace('http', 'ws') + '/v1/connection/websocket')
  const take = ({ data, offset }) => { seen.push(number(data)); position.offset = offset }
  socket.onopen = () => {
    const subs = position ? { user: { recover: true, ...position } } : {}
    socket.send(JSON.stringify({ id: 1, connect: { token, subs } }))
  }
  socket.onmessage = ({ data }) => {
    for (const line of data.split('\\n')) {
      if (line === '{}') { socket.send('{}'); continue }
      const { connect, push } = JSON.parse(line)
      if (connect) {
        const { epoch, offset, recovered, was_recovering, publications = [] } = connect.subs.user
        if (was_recovering && !recovered) resets.push('websocket')
        position = { epoch, offset }
        publications.forEach(take)
        readies++
      } else if (push && push.pub) take(push.pub)
    }
  }
  socket.onclose = () => setTimeout(() => connect(base, token), 100)
}
</script>`

async function useServer(
  t: TestScope,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const useApp = (t: TestScope) =>
  useServer(t, (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE))

/** A proxy that passes nothing on before it has 64 KiB, unless the answer asks it not to wait. */
function useHoardingProxy(t: TestScope, target: string, options: { deaf: boolean }): Promise<string> {
  return useServer(t, (incoming, outgoing) => {
    const { port } = new URL(target)
    const passed = request(
      { host: '127.0.0.1', port, path: incoming.url, method: incoming.method, headers: incoming.headers },
      (answer) => {
        const hoard = options.deaf || answer.headers['x-accel-buffering'] !== 'no'
        let held: Buffer[] = []
        const release = () => {
          outgoing.write(Buffer.concat(held))
          held = []
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        if (!hoard) outgoing.flushHeaders()
        answer.on('data', (chunk: Buffer) => {
          held.push(chunk)
          if (!hoard || held.reduce((sum, { length }) => sum + length, 0) > 65_536) release()
        })
        answer.on('end', () => {
          if (held.length > 0) release()
          outgoing.end()
        })
      },
    )
    passed.on('error', () => outgoing.destroy())
    outgoing.on('close', () => passed.destroy())
    incoming.pipe(passed)
  })
}

t.test('in a browser', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const app = await useApp(t)
  const options = { allowedOrigins: [app] }
  const nodes = [
    await useNode(t, nats.url, options, redis.url),
    await useNode(t, nats.url, options, redis.url),
  ] as const
  const { write } = createWriter(t, connection)

  /** A tab of one browser profile; `run` starts its listening. */
  const open = async (context: Awaited<ReturnType<typeof browser.newContext>>, run: string) => {
    const page = await context.newPage()
    await page.goto(app)
    await page.evaluate(run)
    return {
      seen: () => page.evaluate<number[]>('seen'),
      readies: () => page.evaluate<number>('readies'),
      wrong: () => page.evaluate<string[]>('[...resets, ...problems]'),
    }
  }

  await t.test(
    'two tabs, one by EventSource and one by WebSocket, see each frame once across cuts',
    async (t) => {
      const front = await useForwarder(t, nodes[0].url)
      const context = await browser.newContext()
      t.teardown(() => context.close())
      const token = await signToken({ user: 'tabs' })
      const tabs = [
        await open(context, `listenByTicket('${front.url}', '${token}')`),
        await open(context, `connect('${front.url}', '${token}')`),
      ]
      for (const tab of tabs) await eventually(async () => (await tab.readies()) === 1)
      let next = 1
      for (let round = 1; round <= 4; round++) {
        await write(personal('tabs'), range(next, next + 4))
        front.target = nodes[round % 2]?.url ?? ''
        front.cut()
        await write(personal('tabs'), range(next + 5, next + 9))
        next += 10
        for (const tab of tabs) {
          await eventually(async () => (await tab.readies()) > round, { timeoutMs: 60_000 })
        }
      }
      for (const [name, tab] of Object.entries({ eventsource: tabs[0], websocket: tabs[1] })) {
        await eventually(async () => (await tab?.seen())?.length === next - 1)
        t.same(await tab?.seen(), range(1, next - 1), name)
        t.same(await tab?.wrong(), [], name)
      }
    },
  )

  await t.test('a proxy that hoards what it passes on delays no event', async (t) => {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const query = `/v1/sse?channel=user&token=${await signToken({ user: 'behind' })}`
    const honest = await useHoardingProxy(t, nodes[0].url, { deaf: false })
    const deaf = await useHoardingProxy(t, nodes[0].url, { deaf: true })
    const tab = await open(context, `listen('${honest}${query}')`)
    const late = await open(context, `listen('${deaf}${query}')`)
    await eventually(async () => (await tab.readies()) === 1)
    await write(personal('behind'), [1, 2, 3])
    await eventually(async () => (await tab.seen()).length === 3)
    t.same(await tab.seen(), [1, 2, 3])
    t.same(
      [await late.readies(), await late.seen()],
      [0, []],
      'without our header it would: the proxy is one',
    )
  })

  await t.test(
    'behind nginx as it comes an EventSource gets each event at once, and comes back',
    async (t) => {
      const front = await useForwarder(t, nodes[0].url)
      const nginx = await useNginx(t, front.url)
      if (nginx === undefined) return
      const context = await browser.newContext()
      t.teardown(() => context.close())
      const token = await signToken({ user: 'nginx' })
      const tab = await open(context, `listenByTicket('${nginx}', '${token}')`)
      await eventually(async () => (await tab.readies()) === 1)
      await write(personal('nginx'), [1])
      await eventually(async () => (await tab.seen()).length === 1)
      front.target = nodes[1].url
      front.cut()
      await write(personal('nginx'), [2])
      await eventually(async () => (await tab.seen()).length === 2, { timeoutMs: 60_000 })
      await write(personal('nginx'), [3])
      await eventually(async () => (await tab.seen()).length === 3)
      t.same([await tab.seen(), await tab.wrong()], [[1, 2, 3], []])
    },
  )

  await t.test('a node that is emptied loses no page: each comes back to the other', async (t) => {
    const front = await useForwarder(t, nodes[0].url)
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const token = await signToken({ user: 'drained' })
    const tabs = [
      await open(context, `listenByTicket('${front.url}', '${token}')`),
      await open(context, `connect('${front.url}', '${token}')`),
    ]
    for (const tab of tabs) await eventually(async () => (await tab.readies()) === 1)
    front.target = nodes[1].url
    await nodes[0].service.drain()
    await write(personal('drained'), [1, 2])
    for (const tab of tabs) {
      await eventually(async () => (await tab.seen()).length === 2, { timeoutMs: 60_000 })
      t.same([await tab.seen(), await tab.wrong()], [[1, 2], []])
    }
  })
})
