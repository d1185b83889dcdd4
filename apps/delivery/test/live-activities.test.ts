import { eventually } from '@carillon/testkit'
import t from 'tap'
import { useWorld } from './world.js'

const said = (id: string) => ({
  inbox: { title: 'Your ride', body: 'Ada is on her way' },
  1: {
    options: { liveActivity: { id, event: 'update', contentState: { minutes: 3 }, at: Date.now() } },
  },
})

t.test(
  'an update goes to the activity that the app registered; elsewhere it is a notification',
  async (t) => {
    const world = await useWorld(t, 'push', 'apns')
    const { apns } = world.simulators
    await world.putTenant('acme')
    const phone = apns.registerDevice()
    const activity = apns.registerDevice({ name: 'the activity', kind: 'liveactivity' })
    const watching = await world.queue('acme', phone.token, null, said('ride-42'))
    const other = await world.queue('acme', apns.registerDevice().token, null, said('ride-7'))
    const over = await world.queue('acme', apns.registerDevice().token, null, said('ride-42'))
    const register = (device: string, token: string) =>
      world.rows(
        `INSERT INTO live_activities (tenant_id, device_id, activity, token) VALUES ('acme', $1, 'ride-42', $2)`,
        [device, token],
      )
    await register(watching.device, activity.token)
    const read = await world.queue(
      'acme',
      apns.registerDevice({ name: 'read elsewhere' }).token,
      null,
      said('ride-42'),
    )
    await register(read.device, 'cd'.repeat(32))
    await world.rows(`UPDATE deliveries SET purpose = 'clear' WHERE id = $1`, [read.deliveryId])
    await register(over.device, 'ab'.repeat(32))
    await world.startWorker()
    for (const job of [watching, other, over, read]) await world.job(job)
    await world.becomes(watching, 'sent')
    await world.becomes(other, 'sent')
    await world.becomes(over, 'failed')
    await world.becomes(read, 'sent')
    const [update] = world.simulators.inbox.list().filter(({ to }) => to === activity.token)
    t.match(JSON.stringify(update?.raw), /push-type.liveactivity/)
    t.match(JSON.stringify(update?.raw), '"content-state":{"minutes":3}')
    t.equal(world.simulators.inbox.list().length, 3, 'what clears a screen goes to the phone itself')
    await eventually(async () => (await world.rows('SELECT FROM live_activities')).length === 2)
    t.match(
      await world.rows('SELECT status FROM devices WHERE id = $1', [over.device]),
      [{ status: 'active' }],
      'an activity that is over leaves its phone alone',
    )
  },
)
