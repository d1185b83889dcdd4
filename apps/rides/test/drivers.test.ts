import { eventually } from '@carillon/testkit'
import t from 'tap'
import { DRIVER, ORDER, useAcceptedRide, useRides } from './support.js'

const PLACE = { lat: 48.2082, lon: 16.3738 }
const north = (metres: number) => ({ lat: PLACE.lat + metres / 111_195, lon: PLACE.lon })

t.test('drivers come, move and go', async (t) => {
  const { edge, call, person, clock, pool, metrics } = await useRides(t)
  const [ada, mira, dana] = [await person('ada'), await person('mira'), await person('dana')]
  let last = Date.now()
  /** A moment after all others; less than a millisecond passes for the clock, unless this takes minutes. */
  const next = () => {
    last = Math.max(last + 1, Date.now() + clock.ahead - 60_000)
    return last
  }
  const moved = async (who: typeof mira, id: string, place: { lat: number; lon: number }, at = next()) =>
    who('PUT', `/drivers/${id}/location`, { ...place, heading: 90, speed: 8, at: new Date(at).toISOString() })
  const told = (type: string) => edge.published.filter((event) => event.type === type).map(({ data }) => data)
  const shown = () => edge.said.filter(({ data }) => data.type === 'location')

  await t.test('being online is said once, and positions count from then on', async (t) => {
    t.match((await moved(mira, 'mira', PLACE)).body, { status: 409, code: 'DRIVER_OFFLINE' })
    t.strictSame((await mira('PUT', '/drivers/mira/online', { city: 'vienna' })).body, { changed: true })
    t.strictSame((await mira('PUT', '/drivers/mira/online', { city: 'vienna' })).body, { changed: false })
    await dana('PUT', '/drivers/dana/online', { city: 'vienna' })
    t.strictSame((await moved(mira, 'mira', PLACE)).body, { taken: true, jump: false })
    await eventually(() => told('rides.driver.online.v1').length === 2)
    t.strictSame(told('rides.driver.online.v1')[0], { driverId: 'mira', city: 'vienna' })
    const wrong: object[] = [
      { ...PLACE, lat: 91 },
      { ...PLACE, lon: -180.1 },
      { ...PLACE, heading: 361 },
      { ...PLACE, speed: -1 },
      { ...PLACE, at: 'now' },
      { lat: 48 },
    ]
    for (const payload of wrong) {
      const answer = await mira('PUT', '/drivers/mira/location', { at: new Date().toISOString(), ...payload })
      t.match(answer.body, { status: 400, code: 'VALIDATION' })
    }
    t.match((await moved(mira, 'mira', PLACE, Date.now() + 60_000)).body, {
      status: 400,
      code: 'LOCATION_AHEAD',
    })
    t.match((await dana('PUT', '/drivers/mira/location', { ...PLACE, at: new Date().toISOString() })).body, {
      status: 403,
    })
    t.equal(shown().length, 0, 'nobody follows a driver without a ride')
  })

  await t.test('who is near is told to some hundred metres, nearest first', async (t) => {
    await moved(dana, 'dana', north(700))
    await moved(mira, 'mira', north(1_900))
    const near = async (query = '') =>
      (await ada('GET', `/drivers/near?lat=${PLACE.lat}&lon=${PLACE.lon}${query}`)).body
    clock.ahead += 6_000
    const { drivers } = await eventually(async () => {
      const found = await near()
      return found.drivers.length === 2 && found.drivers[1].id === 'mira' && found
    })
    t.strictSame(
      (drivers as { id: string; metres: number }[]).map(({ id, metres }) => [id, metres]),
      [
        ['dana', 700],
        ['mira', 1_900],
      ],
    )
    t.strictSame(drivers[0].lat, 48.214, 'rounded')
    t.equal((await near('&radius=1000')).drivers.length, 1)
    t.equal((await near('&limit=1')).drivers.length, 1)
    t.match(await near('&radius=0'), { code: 'VALIDATION' })
    t.match((await ada('GET', '/drivers/near?lat=95&lon=16')).body, { code: 'VALIDATION' })
  })

  const ride = (await call('POST', '/rides', ORDER)).body.id as string

  await t.test('the rider sees the driver from the acceptance on, the newest last', async (t) => {
    await moved(mira, 'mira', north(1_800))
    await call('POST', `/rides/${ride}/accept`, DRIVER)
    for (let n = 0; n < 10; n++) {
      t.match((await moved(mira, 'mira', north(1_790 - n * 10))).body, { taken: true, jump: false })
    }
    await eventually(() => shown().at(-1)?.data.lat === north(1_700).lat)
    const frames = shown()
    t.match(frames.at(-1), {
      channel: `latest:ride-${ride}`,
      key: 'driver',
      data: { driver: 'mira', heading: 90, speed: 8, lon: PLACE.lon },
    })
    const order = frames.map(({ data }) => Date.parse(data.at as string))
    t.strictSame(
      order,
      [...order].sort((a, b) => a - b),
    )
    t.notOk(
      frames.some(({ data }) => data.lat === north(1_800).lat),
      'nothing of before',
    )
    t.strictSame(
      (await ada('GET', `/drivers/near?lat=${PLACE.lat}&lon=${PLACE.lon}`)).body.drivers.map(
        ({ id }: { id: string }) => id,
      ),
      ['dana'],
      'nor is she free',
    )
  })

  await t.test('a driver of any name is seen, and hides nobody else', async (t) => {
    const [zoe, other] = ['Zoë 7', (await call('POST', '/rides', ORDER)).body.id as string]
    const driver = await person(zoe)
    await driver('PUT', `/drivers/${encodeURIComponent(zoe)}/online`, { city: 'vienna' })
    await call('POST', `/rides/${other}/accept`, { ...DRIVER, id: zoe })
    await Promise.all([moved(driver, encodeURIComponent(zoe), north(10)), moved(mira, 'mira', north(1_695))])
    const first = await eventually(() => shown().find(({ data }) => data.driver === zoe))
    t.equal(first.channel, `latest:ride-${other}`)
    await eventually(() => shown().some(({ data }) => data.lat === north(1_695).lat))
    t.pass('both are shown')
    await call('POST', `/rides/${other}/arrive`)
    await call('POST', `/rides/${other}/complete`)
    await pool.query('DELETE FROM rides.drivers WHERE id = $1', [zoe])
  })

  await t.test('what comes late is dropped, and a leap is marked', async (t) => {
    const before = shown().length
    t.strictSame((await moved(mira, 'mira', north(0), last - 1)).body, { taken: false, jump: false })
    t.strictSame((await moved(mira, 'mira', north(50_000))).body, { taken: true, jump: true })
    await eventually(() => shown().length > before)
    t.equal(shown().length, before + 1)
    t.match(shown().at(-1)?.data, { jump: true, lat: north(50_000).lat })
    t.match(await metrics.render(), /rides_positions_total\{outcome="old"\} 1\n/)
    // the way from the first place to the second took no time either
    t.match(await metrics.render(), /rides_positions_total\{outcome="jumped"\} 2\n/)
  })

  await t.test('while Carillon is away positions are lost, not late', async (t) => {
    edge.away = true
    await moved(mira, 'mira', north(50_010))
    await eventually(async () => /rides_positions_lost_total [1-9]/.test(await metrics.render()))
    edge.away = false
    await moved(mira, 'mira', north(50_020))
    await eventually(() => shown().at(-1)?.data.lat === north(50_020).lat)
    t.notOk(shown().some(({ data }) => data.lat === north(50_010).lat))
  })

  await t.test('when the answer says that the ride is over, nothing more is shown', async (t) => {
    const storm = async () => {
      while (!over) await moved(mira, 'mira', north(50_030 + (last % 100)))
    }
    let over = false
    const storming = Promise.all([storm(), storm(), storm()])
    t.equal((await call('POST', `/rides/${ride}/complete`)).status, 409, 'it has not arrived')
    const seen = shown().length
    await eventually(() => shown().length > seen)
    await call('POST', `/rides/${ride}/arrive`)
    t.equal((await call('POST', `/rides/${ride}/complete`)).status, 200)
    const ofRide = () => shown().filter(({ channel }) => channel === `latest:ride-${ride}`).length
    const atTheEnd = ofRide()
    t.match((await moved(mira, 'mira', north(50_200))).body, { taken: true })
    // another ride's positions go the same way, so they have overtaken nothing
    const another = await useAcceptedRide(call)
    await eventually(() => edge.said.some(({ channel }) => channel === `latest:ride-${another}`))
    over = true
    await storming
    t.equal(ofRide(), atTheEnd)
  })

  await t.test('only the last position is kept, seconds old, and none of who went', async (t) => {
    const rows = async () =>
      (await pool.query('SELECT id, online, lat, city FROM rides.drivers ORDER BY id')).rows
    t.equal((await rows()).length, 2)
    t.strictSame((await mira('PUT', '/drivers/mira/offline')).body, { changed: true })
    t.strictSame((await mira('PUT', '/drivers/mira/offline')).body, { changed: false })
    t.match(await rows(), [
      { id: 'dana', online: true },
      { id: 'mira', online: false, lat: null },
    ])
    t.match((await moved(mira, 'mira', PLACE)).body, { code: 'DRIVER_OFFLINE' })
    await eventually(() => told('rides.driver.offline.v1').length === 1)
    t.match(told('rides.driver.offline.v1'), [{ driverId: 'mira', city: 'vienna', because: 'said' }])
    t.notMatch(JSON.stringify(edge.published), /"lat"/, 'no event says where somebody was')
  })

  await t.test('who is silent for a minute is offline', async (t) => {
    await mira('PUT', '/drivers/mira/online', { city: 'vienna' })
    clock.ahead += 40_000
    await dana('PUT', '/drivers/dana/online', { city: 'vienna' })
    clock.ahead += 30_000
    await eventually(() => told('rides.driver.offline.v1').length === 2)
    t.match(
      told('rides.driver.offline.v1')[1],
      { driverId: 'mira', because: 'silent' },
      'Dana was heard of 30 s ago',
    )
  })
})
