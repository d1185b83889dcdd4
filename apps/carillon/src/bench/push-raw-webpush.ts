import { Agent } from 'undici'
import webpush from 'web-push'
import type { RawClient } from './push-raw.js'
import type { Seen, Stage } from './push-simulators.js'

const LIFE_SECONDS = 12 * 3600

/**
 * A push service over HTTP/1.1 with connections that stay. Each body is encrypted anew by the library that the sender
 * uses, since that can't be done beforehand; the VAPID header is signed once.
 */
export async function openRawWebPush(stage: Stage, seen: Seen): Promise<RawClient> {
  const { subject, publicKey, privateKey } = stage.credentials.webpush as Record<
    'subject' | 'publicKey' | 'privateKey',
    string
  >
  const bodies = seen.kept.map(({ raw }) => JSON.stringify(raw))
  const subscriptions = stage.addresses.webpush.flatMap((address) =>
    address.kind === 'webpush'
      ? [{ endpoint: address.endpoint, keys: { p256dh: address.p256dh, auth: address.auth } }]
      : [],
  )
  const { origin } = new URL(subscriptions[0]?.endpoint ?? '')
  const expires = Math.floor(Date.now() / 1000) + LIFE_SECONDS
  const vapid = webpush.getVapidHeaders(origin, subject, publicKey, privateKey, 'aes128gcm', expires)
  const agent = new Agent({
    connections: seen.connections,
    pipelining: 1,
    connect: { ca: stage.settings.ca },
  })
  const send = async (index: number) => {
    const subscription = subscriptions[index % subscriptions.length] as (typeof subscriptions)[number]
    const { headers, body } = webpush.generateRequestDetails(
      subscription,
      bodies[index % bodies.length] as string,
      {
        TTL: 3600,
        urgency: 'high',
        topic: 'ride',
        headers: { Authorization: vapid.Authorization },
      },
    )
    const answer = await agent.request({
      origin,
      path: new URL(subscription.endpoint).pathname,
      method: 'POST',
      headers: headers as Record<string, string>,
      body,
    })
    await answer.body.dump()
    return answer.statusCode === 201 ? 'accepted' : `status ${answer.statusCode}`
  }
  // twice as many, so that the next one is encrypted while a connection waits for its answer
  return {
    lanes: Array.from({ length: 2 * seen.connections }, () => ({ send })),
    [Symbol.asyncDispose]: () => agent.close(),
  }
}
