import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Simulators } from '@carillon/simulators'
import { Agent, request } from 'undici'

/** Google's token endpoint with a life of tokens that a test can see the end of, and outages. */
export interface OauthRelay extends AsyncDisposable {
  readonly url: string
  asked: number
  down: boolean
}

/** Hands on to the simulated endpoint, and says that what it grants ends after `seconds`. */
export async function openOauthRelay(simulators: Simulators, seconds: number): Promise<OauthRelay> {
  const agent = new Agent({ connect: { ca: simulators.ca } })
  const server = createServer(simulators.save().authority.identity)
  server.on('request', async (incoming, outgoing) => {
    relay.asked++
    const parts: Buffer[] = []
    for await (const part of incoming) parts.push(part as Buffer)
    if (relay.down) {
      outgoing.writeHead(503).end()
      return
    }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = Buffer.concat(parts)
    const answer = await request(simulators.fcm.tokenUrl, {
      method: 'POST',
      dispatcher: agent,
      headers,
      body,
    })
    const grant = (await answer.body.json()) as Record<string, unknown>
    outgoing.writeHead(answer.statusCode, { 'content-type': 'application/json' })
    outgoing.end(JSON.stringify({ ...grant, expires_in: seconds }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const relay: OauthRelay = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    asked: 0,
    down: false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await Promise.all([once(server, 'close'), agent.close()])
    },
  }
  return relay
}
