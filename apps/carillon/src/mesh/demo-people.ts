import { introducePeople } from '@carillon/rides'
import type { CarillonClient } from '@carillon/sdk'
import type { Simulators } from '@carillon/simulators'

/** The person whom the dev inbox shows. */
export const DEMO_USER = 'ada'
/** Her number, one of those that belong to nobody. */
const DEMO_PHONE = '+447700900123'
/** The driver of the demonstration ride. */
export const DEMO_DRIVER = 'mira'

/** Tells Carillon of the demonstration's devices of one kind; again after their provider called them dead. */
export type IntroduceDevices = (kind: 'fcm' | 'apns' | 'webpush') => Promise<void>

/**
 * Gives the development tenant its people and devices, through the public interface alone. Devices are new at every
 * start, so this runs at every start.
 */
export async function introducePeopleOfDemo(
  carillon: CarillonClient,
  introduce: IntroduceDevices,
): Promise<void> {
  await introducePeople(carillon)
  await carillon.putUser(DEMO_USER, { phone: DEMO_PHONE })
  for (const kind of ['fcm', 'apns', 'webpush'] as const) await introduce(kind)
}

/** Makes the devices; they are Carillon's to know once they are introduced. */
export function makeDemoDevices(carillon: CarillonClient, simulators: Simulators): IntroduceDevices {
  const phone = simulators.fcm.registerDevice({ name: "Ada's Pixel" })
  const driverPhone = simulators.fcm.registerDevice({ name: "Mira's phone" })
  const iphone = simulators.apns.registerDevice({ name: "Ada's iPhone" })
  const desktop = simulators.webpush.registerDevice({ name: "Ada's laptop" })
  const { endpoint, keys } = desktop.subscription
  const { token, environment } = iphone
  const app = 'customer'
  const introductions = {
    fcm: async () => {
      await carillon.putDevice(DEMO_USER, 'pixel', { kind: 'fcm', token: phone.token, app })
      await carillon.putDevice(DEMO_DRIVER, 'phone', { kind: 'fcm', token: driverPhone.token, app: 'driver' })
    },
    apns: async () =>
      void (await carillon.putDevice(DEMO_USER, 'iphone', { kind: 'apns', token, environment, app })),
    webpush: async () =>
      void (await carillon.putDevice(DEMO_USER, 'laptop', { kind: 'webpush', endpoint, ...keys, app })),
  }
  return (kind) => introductions[kind]()
}
