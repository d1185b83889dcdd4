import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { paceConnections } from './pace-connections.js'

const CLIENTS = 300

t.test('a crowd is let in a few at a time, and each is answered', async (t) => {
  let begun = 0
  let inTurn = 0
  let most = 0
  const server = createServer((request, response) => response.end(request.url))
  server.on('connection', () => {
    if (inTurn++ === 0) setImmediate(() => (inTurn = 0))
    begun++
    most = Math.max(most, inTurn)
  })
  paceConnections(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const answers = Array.from({ length: CLIENTS }, (_, index) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET /${index} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    let text = ''
    socket.on('data', (chunk) => (text += chunk))
    return new Promise<string>((resolve) => socket.on('close', () => resolve(text)))
  })
  const gone = connect(port, '127.0.0.1')
  gone.on('error', () => undefined)
  gone.on('connect', () => gone.resetAndDestroy())
  const texts = await Promise.all(answers)
  for (const [index, text] of texts.entries()) if (!text.endsWith(`\r\n\r\n/${index}`)) t.fail(text)
  t.ok(begun >= CLIENTS)
  t.ok(most <= 64, `${most} in a turn`)
})
