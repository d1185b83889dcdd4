import t from 'tap'
import { boxAround, coarse, judge, metresBetween, type Position } from './track.js'

const now = Date.parse('2026-11-21T12:00:00Z')
const stephansplatz = { lat: 48.2085, lon: 16.3731 }
const at = (ms: number, place = stephansplatz): Position => ({
  ...place,
  heading: null,
  speed: null,
  at: now + ms,
})

t.test('a position counts when it is newer than the last one and not from another time', async (t) => {
  t.strictSame(judge(undefined, at(0), now), { kind: 'moved', jump: false })
  t.strictSame(judge(at(-200), at(0), now), { kind: 'moved', jump: false })
  t.strictSame(judge(at(0), at(0), now), { kind: 'old' }, 'the same again')
  t.strictSame(judge(at(0), at(-200), now), { kind: 'old' }, 'one that was overtaken')
  t.strictSame(judge(undefined, at(-120_001), now), { kind: 'old' }, 'one that was stored on the way')
  t.strictSame(judge(undefined, at(30_001), now), { kind: 'ahead' })
  t.strictSame(judge(undefined, at(30_000), now), { kind: 'moved', jump: false })
})

t.test('what nobody can drive in the time is marked as a jump', async (t) => {
  const north = (metres: number) => ({ lat: stephansplatz.lat + metres / 111_195, lon: stephansplatz.lon })
  const jumps = (metres: number, ms: number) => judge(at(-ms), at(0, north(metres)), now)
  t.strictSame(jumps(160, 200), { kind: 'moved', jump: false }, 'the receiver errs')
  t.strictSame(jumps(170, 200), { kind: 'moved', jump: true })
  t.strictSame(jumps(800, 10_000), { kind: 'moved', jump: false }, 'a motorway')
  t.strictSame(jumps(900, 10_000), { kind: 'moved', jump: true })
})

t.test('distances are those of the sphere', async (t) => {
  const close = (found: number, wanted: number) => t.ok(Math.abs(found - wanted) < wanted / 200, `${found}`)
  close(metresBetween({ lat: 48.2082, lon: 16.3738 }, { lat: 52.52, lon: 13.405 }), 523_600)
  close(metresBetween({ lat: 0, lon: 179.5 }, { lat: 0, lon: -179.5 }), 111_195)
  t.equal(metresBetween(stephansplatz, stephansplatz), 0)
})

t.test('the box around a circle holds all of it, at the poles and across the antimeridian too', async (t) => {
  const within = ({ lat, lon }: { lat: number; lon: number }, box: ReturnType<typeof boxAround>) =>
    lat >= box.south && lat <= box.north && box.lons.some(([west, east]) => lon >= west && lon <= east)
  for (const centre of [
    stephansplatz,
    { lat: 0, lon: 179.99 },
    { lat: -40, lon: -179.99 },
    { lat: 89.99, lon: 5 },
    { lat: 90, lon: 0 },
  ]) {
    const box = boxAround(centre, 3_000)
    t.ok(within(centre, box))
    for (let degree = 0; degree < 360; degree += 15) {
      const angle = (degree * Math.PI) / 180
      const dLat = (2_990 / 111_195) * Math.cos(angle)
      const dLon =
        ((2_990 / 111_195) * Math.sin(angle)) / Math.max(0.001, Math.cos((centre.lat * Math.PI) / 180))
      const wrapped = ((centre.lon + dLon + 540) % 360) - 180
      const place = { lat: Math.min(90, centre.lat + dLat), lon: wrapped }
      if (metresBetween(centre, place) <= 3_000)
        t.ok(within(place, box), `${degree}° of ${JSON.stringify(centre)}`)
    }
  }
  t.notOk(within({ lat: 48.25, lon: 16.3731 }, boxAround(stephansplatz, 3_000)))
})

t.test('strangers learn a place to some hundred metres', async (t) => {
  t.strictSame(coarse({ lat: 48.20849, lon: 16.37312 }), { lat: 48.208, lon: 16.373 })
})
