import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { apnsMeasured } from '../src/apns/payload.js'
import { fcmMeasured } from '../src/fcm/payload.js'
import { openSdk, type SdkRequest, sdkResponse } from '../src/fcm/sdk.js'
import { fitPayload } from '../src/fit.js'
import { type Address, fit, type Message, type Outgoing } from '../src/index.js'
import type { OutgoingFor } from '../src/message.js'
import { readSmsCredentials } from '../src/sms/credentials.js'
import { smsPayload } from '../src/sms/payload.js'
import { readSmtpCredentials } from '../src/smtp/credentials.js'
import { smtpPayload } from '../src/smtp/payload.js'
import { signWebhook, webhookBody } from '../src/webhook/payload.js'
import { webPushMeasured } from '../src/webpush/payload.js'
import { ADDRESSES, MESSAGES, NOW } from './golden-cases.js'

/** Each file is what one provider receives for one kind of message. `UPDATE_GOLDEN=1` writes them anew. */
const folder = new URL('../../test/golden/', import.meta.url)
const update = process.env.UPDATE_GOLDEN === '1'

const captured: SdkRequest[] = []
const sdk = await openSdk('rides-app', async (request) => {
  captured.push(request)
  return sdkResponse('{"name":"m"}')
})
t.teardown(() => sdk.close())

const received: Record<string, (outgoing: Outgoing) => Promise<unknown>> = {
  async fcm(outgoing) {
    const one = outgoing as OutgoingFor<'fcm'>
    await sdk.messaging.send(fitPayload(one, fcmMeasured(one, NOW)).payload)
    const request = captured.pop()
    return { url: request?.url, body: request?.data }
  },
  async apns(outgoing) {
    const one = outgoing as OutgoingFor<'apns'>
    const { headers, body } = fitPayload(one, apnsMeasured('dev.rides', NOW)).payload
    t.match(headers['apns-id'], /^[0-9a-f-]{36}$/)
    return { headers: { ...headers, 'apns-id': '(new on every attempt)' }, body: JSON.parse(body) }
  },
  async webpush(outgoing) {
    const { body, visible, ...headers } = fitPayload(
      outgoing as OutgoingFor<'webpush'>,
      webPushMeasured(NOW),
    ).payload
    t.ok(visible)
    return { headers, body: JSON.parse(body) }
  },
  async smtp(outgoing) {
    const settings = { host: 'h', from: 'bells@rides.example', bounceDomain: 'bounce.example' }
    return smtpPayload(fitted(outgoing as OutgoingFor<'smtp'>), readSmtpCredentials(settings))
  },
  async sms(outgoing) {
    const account = { accountSid: `AC${'0'.repeat(32)}`, authToken: 'secret', from: '+15005550006' }
    const form = smsPayload(fitted(outgoing as OutgoingFor<'sms'>), readSmsCredentials(account), NOW)
    return Object.fromEntries(form)
  },
  async webhook(outgoing) {
    const one = fitted(outgoing as OutgoingFor<'webhook'>)
    const body = webhookBody(one)
    return { headers: signWebhook(one, body, NOW), body: JSON.parse(body) }
  },
}

/** As the formatter leaves it: a list of one text stands on one line. */
function written(value: unknown): string {
  const text = JSON.stringify(value, null, 2)
  return `${text.replace(/\[\s+("[^"\n]*")\s+\]/g, '[$1]')}\n`
}

function fitted<T extends Outgoing>(outgoing: T): T {
  return { ...outgoing, message: fit(outgoing, NOW).message }
}

function outgoing(address: Address, message: Message): Outgoing {
  const id = (group: string) => `0198c0de-${group}-8000-8000-000000000001`
  return {
    deliveryId: id('0000'),
    notificationId: id('1111'),
    tenant: 'acme',
    attempt: 1,
    address,
    message,
    receiptToken: 'rt-1',
  }
}

t.test('every provider receives what its golden file says', async (t) => {
  if (update) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  }
  const seen = new Set<string>()
  for (const [provider, kinds] of Object.entries(ADDRESSES)) {
    for (const [kind, address] of Object.entries(kinds)) {
      const message = MESSAGES[kind]
      const make = received[provider]
      if (!message || !make) throw new Error(`there is no message "${kind}" for ${provider}`)
      const file = new URL(`${provider}-${kind}.json`, folder)
      const text = written(await make(outgoing(address, message)))
      if (update) writeFileSync(file, text)
      seen.add(`${provider}-${kind}.json`)
      t.equal(text, existsSync(file) ? readFileSync(file, 'utf8') : 'no such file', `${provider} ${kind}`)
    }
  }
  t.same(readdirSync(folder).sort(), [...seen].sort(), 'no file is left over')
})
