import { randomUUID } from 'node:crypto'
import type { Carillon, Channel, ChannelMessage } from '@carillon/client'
import { eventually, type TestScope } from '@carillon/testkit'
import type { RunningMesh } from '../src/mesh/up.js'
import { useClient } from './client-world.js'

export type Json = Record<string, unknown>
type Call = (method: string, path: string, body?: object) => Promise<{ status: number; body: Json }>

/** The rides service of a mesh as its callers see it: services, and people who are signed in. */
export interface Rides {
  service: Call
  person(id: string): Promise<Call>
  /** A ride of Ada's that Mira has accepted. */
  accepted(): Promise<string>
}

export function ridesOf(mesh: RunningMesh): Rides {
  const as =
    (token: string): Call =>
    async (method, path, body) => {
      const answer = await fetch(`${mesh.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Json }
    }
  const service = as(mesh.keys.ridesToken)
  return {
    service,
    person: async (id) => as(String((await service('POST', `/people/${id}/session`)).body.token)),
    async accepted() {
      const { body } = await service('POST', '/rides', {
        customerId: 'ada',
        customer: 'Ada',
        from: 'Karlsplatz',
        to: 'Prater',
        city: 'vienna',
        minutes: 4,
        amountCents: 1_450,
        currency: 'EUR',
      })
      await service('POST', `/rides/${body.id}/accept`, { id: 'mira', name: 'Mira', car: 'blue Ioniq' })
      return String(body.id)
    },
  }
}

/** Writes into a ride's conversation; gives the message's id. */
export async function write(who: Call, ride: string, text: string): Promise<string> {
  const { status, body } = await who('POST', `/rides/${ride}/messages`, { text, clientId: randomUUID() })
  if (status !== 201) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return String(body.id)
}

/** A page of a person that shows a ride. */
export function usePage(
  t: TestScope,
  mesh: RunningMesh,
  { user, person, ride }: { user: string; person: Call; ride: string },
): Carillon {
  const getToken = async () => String((await person('GET', `/rides/${ride}/token`)).body.token)
  const page = useClient(t, mesh, { user, getToken })
  page.connect()
  return page
}

export async function joined(channel: Channel): Promise<Channel> {
  await eventually(() => channel.getSnapshot().state === 'joined')
  return channel
}

export function framesOf(messages: readonly ChannelMessage[], type: string): Json[] {
  return messages.map(({ data }) => data as Json).filter((frame) => frame.type === type)
}

const placeOf = (step: number) => ({ lat: 48.2 + step / 10_000, lon: 16.37, speed: 14 })

/** Sends a driver's position of now, so many steps to the north; gives its latitude. */
export async function moveTo(driver: Call, step: number): Promise<number> {
  const place = placeOf(step)
  await driver('PUT', '/drivers/mira/location', { ...place, at: new Date().toISOString() })
  return place.lat
}

/** Sends a driver's positions, five a second, to the north; gives the latitudes in their order. */
export async function drive(driver: Call, seconds: number): Promise<number[]> {
  const sending: Promise<number>[] = []
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      sending.push(moveTo(driver, sending.length))
      if (sending.length < seconds * 5) return
      clearInterval(timer)
      resolve()
    }, 200)
  })
  return Promise.all(sending)
}

/** What became of the runs that a message began. */
export async function runsOf(
  mesh: RunningMesh,
  messageId: string,
): Promise<{ state: string; reason: string | null }[]> {
  const path = `/v1/events/${messageId}?source=${encodeURIComponent('/services/rides')}`
  const { runs } = await mesh.carillon.call<{ runs: { state: string; reason: string | null }[] }>('GET', path)
  return runs.map(({ state, reason }) => ({ state, reason }))
}
