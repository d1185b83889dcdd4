import { introducePeople } from '@carillon/rides'
import type { CarillonClient } from '@carillon/sdk'
import type { Simulators } from '@carillon/simulators'

/** The person whom the dev inbox shows. */
export const DEMO_USER = 'ada'
/** Her number, one of those that belong to nobody. */
const DEMO_PHONE = '+447700900123'
/** The driver of the demonstration ride. */
export const DEMO_DRIVER = 'mira'

/**
 * Gives the development tenant its providers, people and devices, through the public interface alone. The simulators'
 * keys and tokens are new at every start, so this runs at every start.
 */
export async function introduceDemo(carillon: CarillonClient, simulators: Simulators): Promise<void> {
  const credentials = { ...simulators.credentials, webhook: { secrets: [simulators.webhook.secret] } }
  for (const [kind, own] of Object.entries(credentials)) {
    await carillon.call('PUT', `/v1/providers/${kind}`, { credentials: own })
  }
  await introducePeople(carillon)
  await carillon.putUser(DEMO_USER, { phone: DEMO_PHONE })
  const phone = simulators.fcm.registerDevice({ name: "Ada's Pixel" })
  const iphone = simulators.apns.registerDevice({ name: "Ada's iPhone" })
  const desktop = simulators.webpush.registerDevice({ name: "Ada's laptop" })
  await carillon.putDevice(DEMO_USER, 'pixel', { kind: 'fcm', token: phone.token, app: 'customer' })
  await carillon.putDevice(DEMO_USER, 'iphone', {
    kind: 'apns',
    token: iphone.token,
    environment: iphone.environment,
    app: 'customer',
  })
  await carillon.putDevice(DEMO_USER, 'laptop', {
    kind: 'webpush',
    endpoint: desktop.subscription.endpoint,
    p256dh: desktop.subscription.keys.p256dh,
    auth: desktop.subscription.keys.auth,
    app: 'customer',
  })
  const driverPhone = simulators.fcm.registerDevice({ name: "Mira's phone" })
  await carillon.putDevice(DEMO_DRIVER, 'phone', { kind: 'fcm', token: driverPhone.token, app: 'driver' })
}
