import { join } from 'node:path'
import type { SimulatedProvider } from '@carillon/simulators'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import { type RunningMesh, startMesh } from '../src/mesh/up.js'
import { inboxOf, PROJECT } from './support.js'

t.test('a broken provider is tried again with reasons until it is healed', async (t) => {
  const directory = join(await useFolder(t), 'mesh')
  await using mesh = await startMesh({
    base: PROJECT,
    env: { CARILLON_DIR: directory },
    workflows: { pushed: () => undefined, refused: (file, problem) => t.fail(`${file}: ${problem}`) },
    progress: { step: (_name, work) => work(() => undefined) },
  })
  mesh.simulators.break('fcm')
  await mesh.ring()
  const item = await eventually(async () => (await inboxOf(directory))[0])
  const path = `/v1/notifications/${item.id}`
  const deliveryTo = async (address: string) => {
    const { deliveries } = await mesh.carillon.call<{ deliveries: DeliveryStatus[] }>('GET', `${path}/status`)
    return deliveries.find((delivery) => delivery.address?.startsWith(address))
  }
  const why = async () => (await mesh.carillon.call<{ text: string }>('GET', `${path}/explain`)).text

  const retrying = await eventually(async () => {
    const delivery = await deliveryTo('fcm')
    return delivery?.status === 'retrying' && delivery
  })
  t.ok(retrying.attempts >= 1, 'an attempt was made')
  t.type(retrying.reason, 'string', 'and its reason kept')
  t.match(await why(), new RegExp(`fcm[\\s\\S]*${retrying.reason}`), 'the story tells it')
  await eventually(async () => (await deliveryTo('apns'))?.status === 'sent')
  t.equal(rungOn(mesh, 'fcm'), 0, 'the other phone rang, this one did not')

  mesh.simulators.heal('fcm')
  const sent = await eventually(
    async () => {
      const delivery = await deliveryTo('fcm')
      return delivery?.status === 'sent' && delivery
    },
    { timeoutMs: 90_000 },
  )
  t.ok(sent.attempts > retrying.attempts, `sent by attempt ${sent.attempts}`)
  t.equal(rungOn(mesh, 'fcm'), 1, 'it rings once')
})

interface DeliveryStatus {
  address: string | null
  status: string
  reason: string | null
  attempts: number
}

function rungOn(mesh: RunningMesh, provider: SimulatedProvider): number {
  return mesh.simulators.inbox.list().filter((message) => message.provider === provider).length
}
