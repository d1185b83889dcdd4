import { randomUUID } from 'node:crypto'
import type { ShownMessage, SimulatedMessage } from '../inbox.js'
import type { DeviceView, PushKind, PushNetwork } from '../network.js'
import { PhoneRefused } from './errors.js'
import { createReceiptSender, type DeviceReceipt, type ReceiptSender } from './receipts.js'

export interface PhoneOptions {
  /** Carillon's gateway, without `/v1`. */
  gatewayUrl: string
  /** The person's token; a function is asked before each call. */
  userToken: string | (() => string | Promise<string>)
  kind: PushKind
  /** Where it is a device: `networkOf(simulators)`, or a control client. */
  network: PushNetwork
  /** What the app calls itself; made up when absent. */
  installation?: string
  name?: string
  /** The app's key in Carillon. */
  app?: string
  locale?: string
  /** What it says by itself of each message. Default `['delivered']`. */
  acknowledges?: readonly DeviceReceipt['status'][]
  /** Shared by many phones; it is then disposed by who made it. */
  receipts?: ReceiptSender
}

/** An app on a phone, or a browser, that receives and acknowledges as the real one would. */
export interface Phone extends AsyncDisposable {
  readonly installation: string
  /** The token or subscription that it has now. */
  readonly to: string
  /** Every message that reached it, silent ones too, oldest first, under all the tokens it had. */
  readonly received: readonly SimulatedMessage[]
  readonly receipts: ReceiptSender
  /** Registers at the gateway. `createPhone` did; again after `signOut()`. */
  signIn(): Promise<void>
  /** A new token in place of the old one, which dies; the gateway learns the new one. */
  rotateToken(): Promise<void>
  /** Offline, the provider keeps what it would keep, and what the person does is told later. */
  setOnline(online: boolean): Promise<void>
  /** What is on the screen, oldest first. */
  screen(): Promise<readonly ShownMessage[]>
  /** The person opens a message: it leaves the screen and is acknowledged. */
  open(message: ShownMessage): Promise<void>
  click(message: ShownMessage): Promise<void>
  dismiss(message: ShownMessage): Promise<void>
  /** Tells the gateway that nobody is signed in here. */
  signOut(): Promise<void>
}

/**
 * Registers a device with its provider and the gateway, and acknowledges what it gets.
 * @throws PhoneRefused when the gateway refuses it
 */
export async function createPhone(options: PhoneOptions): Promise<Phone> {
  const { network, kind, installation = randomUUID(), acknowledges = ['delivered'] } = options
  const receipts = options.receipts ?? createReceiptSender({ gatewayUrl: options.gatewayUrl })
  const gateway = gatewayFor(options, installation)
  const received: SimulatedMessage[] = []
  let online = true
  /** Said while it was offline. */
  const held: DeviceReceipt[] = []
  const say = ({ rt }: ShownMessage, status: DeviceReceipt['status']) => {
    if (rt === undefined) return
    const receipt = { token: rt, status, at: new Date().toISOString() }
    if (online) receipts.add(receipt)
    else held.push(receipt)
  }
  const arrived = (message: SimulatedMessage) => {
    received.push(message)
    for (const status of acknowledges) say(message, status)
  }
  const register = async (): Promise<{ device: DeviceView; following: AsyncDisposable }> => {
    const device = await network.registerDevice(kind, { name: options.name ?? installation })
    return { device, following: await network.follow(arrived, device.to) }
  }
  const leave = async (message: ShownMessage, status: DeviceReceipt['status']) => {
    say(message, status)
    if (message.nid !== undefined) await network.changeDevice(kind, message.to, { dismiss: message.nid })
  }

  let { device, following } = await register()
  const phone: Phone = {
    installation,
    received,
    receipts,
    get to() {
      return device.to
    },
    signIn: () => gateway.put(device),
    async rotateToken() {
      const old = { device, following }
      ;({ device, following } = await register())
      await gateway.put(device)
      await network.changeDevice(kind, old.device.to, { unregistered: true })
      await old.following[Symbol.asyncDispose]()
    },
    async setOnline(to) {
      online = to
      await network.changeDevice(kind, device.to, { online })
      if (online) for (const receipt of held.splice(0)) receipts.add(receipt)
    },
    screen: async () => (await network.device(kind, device.to))?.screen ?? [],
    open: (message) => leave(message, 'opened'),
    click: (message) => leave(message, 'clicked'),
    dismiss: (message) => leave(message, 'dismissed'),
    signOut: () => gateway.remove(),
    async [Symbol.asyncDispose]() {
      await following[Symbol.asyncDispose]()
      if (options.receipts === undefined) await receipts[Symbol.asyncDispose]()
    },
  }
  try {
    await phone.signIn()
    return phone
  } catch (error) {
    await phone[Symbol.asyncDispose]()
    throw error
  }
}

function gatewayFor({ gatewayUrl, userToken, kind, app, locale }: PhoneOptions, installation: string) {
  const url = `${gatewayUrl}/v1/me/devices/${encodeURIComponent(installation)}`
  const ask = async (method: string, body?: object): Promise<number> => {
    const token = typeof userToken === 'string' ? userToken : await userToken()
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (response.ok || (method === 'DELETE' && response.status === 404)) return response.status
    throw new PhoneRefused(response.status, text)
  }
  return {
    put: async (device: DeviceView) =>
      void (await ask('PUT', {
        ...addressOf(kind, device),
        ...(app === undefined ? {} : { app }),
        ...(locale === undefined ? {} : { locale }),
      })),
    remove: async () => void (await ask('DELETE')),
  }
}

function addressOf(kind: PushKind, { to, subscription }: DeviceView): object {
  if (kind === 'fcm') return { kind, token: to }
  if (kind === 'apns') return { kind, token: to, environment: 'sandbox' }
  return { kind, endpoint: subscription?.endpoint, ...subscription?.keys }
}
