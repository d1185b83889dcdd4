import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { eventually, type TestScope } from '@carillon/testkit'
import t from 'tap'
import { answerRules, createWriter, personal, signToken, useLive, useNode } from './mesh.js'

const UPGRADE =
  'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: '
const KEY = Buffer.alloc(16, 1).toString('base64')
const WEBSOCKET = '/v1/connection/websocket'
const CONNECT = encodeURIComponent('{"id":1,"connect":{}}')

/** Requests sent in one piece over one connection, and what comes back. */
async function useRequests(
  t: TestScope,
  url: string,
  paths: readonly string[],
): Promise<{ socket: Socket; came: () => string }> {
  const authorization = `authorization: Bearer ${await signToken()}\r\n`
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  let came = ''
  socket.on('data', (chunk) => {
    came += chunk
  })
  const requests = paths.map((path) => {
    const more = path === WEBSOCKET ? `${UPGRADE}${KEY}\r\n` : ''
    return `GET ${path} HTTP/1.1\r\nhost: x\r\n${authorization}${more}\r\n`
  })
  socket.write(requests.join(''))
  return { socket, came: () => came }
}

t.test('a stream needs a connection of its own', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [])
  const node = await useNode(t, nats.url)
  const writer = createWriter(t, connection)
  for (const path of ['/v1/sse', `/v1/connection/sse?cf_connect=${CONNECT}`]) {
    const { came } = await useRequests(t, node.url, ['/v1/poll?wait=0', path])
    await eventually(() => came().includes('CONNECTION_IN_USE'))
    t.equal(came().match(/HTTP\/1.1 200 /g)?.length, 1, 'the poll has its answer')
    t.match(came(), /last_event_id.*HTTP\/1.1 400 /s, 'and the stream its refusal behind it')

    // whatever came in one piece with it, a stream is the first request's alone
    const first = await useRequests(t, node.url, ['/v1/sse', path, '/v1/poll?wait=0', path])
    await eventually(() => first.came().includes('event: ready'))
    await writer.write(personal(), [1])
    await eventually(() => first.came().includes('"number 1"'))
    t.equal(first.came().split('HTTP/1.1').length, 2)
  }
  t.equal((await fetch(`${node.url}/v1/poll`)).status, 401, 'the node is there')
})

t.test('an upgrade behind a request without its answer ends the connection', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [])
  const node = await useNode(t, nats.url)
  const before = ['/v1/sse', '/v1/poll?wait=30', `/v1/connection/sse?cf_connect=${CONNECT}`]
  for (const path of before) {
    const { socket } = await useRequests(t, node.url, [path, WEBSOCKET])
    await once(socket, 'close')
    t.pass(path)
  }
  const alone = await useRequests(t, node.url, [WEBSOCKET])
  await eventually(() => alone.came().startsWith('HTTP/1.1 101 '))
})
