import { join } from 'node:path'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import { type RunningMesh, startMesh } from '../src/mesh/up.js'
import { inboxOf, PROJECT } from './support.js'

const ADA = '+447700900123'

interface TextStatus {
  channel: string
  status: string
  reason: string | null
}

t.test(
  'a text is delivered once its network says so, and failed with a reason when it says otherwise',
  async (t) => {
    const directory = join(await useFolder(t), 'mesh')
    await using mesh = await startMesh({
      base: PROJECT,
      env: { CARILLON_DIR: directory },
      workflows: { pushed: () => undefined, refused: (file, problem) => t.fail(`${file}: ${problem}`) },
      progress: { step: (_name, work) => work(() => undefined) },
    })
    const { sms, inbox } = mesh.simulators
    let rings = 0
    const ring = async () => {
      await mesh.ring()
      rings++
      const items = await eventually(async () => {
        const items = await inboxOf(directory)
        return items.length === rings && items
      })
      return items[0]?.id ?? ''
    }

    const arrived = await ring()
    await becomes(mesh, arrived, { status: 'delivered' })
    t.match(
      inbox.list().filter(({ provider }) => provider === 'sms'),
      [{ to: ADA, body: 'Hello Ada\nEvery bell rings.' }],
    )

    sms.failLater(ADA, 30007)
    const filtered = await ring()
    await becomes(mesh, filtered, { status: 'failed', reason: 'PROVIDER_REJECTED' })

    sms.stop(ADA)
    const stopped = await ring()
    await becomes(mesh, stopped, { status: 'failed', reason: 'ADDRESS_INVALID' })
    t.match(await whyOf(mesh, stopped), /TWILIO_21610/, 'the story tells what the provider said')
    t.equal(sms.counters.callbacksRefused, 0, 'every callback was believed')
  },
)

function becomes(mesh: RunningMesh, id: string, wanted: { status: string; reason?: string }) {
  return eventually(async () => {
    const { deliveries } = await mesh.carillon.call<{ deliveries: TextStatus[] }>(
      'GET',
      `/v1/notifications/${id}/status`,
    )
    const text = deliveries.find(({ channel }) => channel === 'sms')
    const right = text?.status === wanted.status && (text.reason ?? undefined) === wanted.reason
    if (!right)
      throw new Error(`the text is ${text?.status} (${text?.reason}), not ${JSON.stringify(wanted)}`)
    return true
  })
}

async function whyOf(mesh: RunningMesh, id: string): Promise<string> {
  return (await mesh.carillon.call<{ text: string }>('GET', `/v1/notifications/${id}/explain`)).text
}
