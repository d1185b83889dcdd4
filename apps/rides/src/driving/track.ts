/** Where a driver is. */
export interface Position {
  lat: number
  lon: number
  /** Degrees clockwise from north. */
  heading: number | null
  /** Metres a second. */
  speed: number | null
  /** Milliseconds, by the driver's clock. */
  at: number
}

export interface Place {
  lat: number
  lon: number
}

/**
 * What a new position is worth. `old`: a newer one is known, or it is of no interest any more; `ahead`: the driver's
 * clock can't be right. A jump is further than anybody drives in the time between.
 */
export type Step = { kind: 'moved'; jump: boolean } | { kind: 'old' } | { kind: 'ahead' }

/** What passed unseen for longer shows nobody where the driver is. */
const WORTHLESS_AFTER_MS = 120_000
const AHEAD_MS = 30_000
/** 252 km/h. */
const FASTEST_M_PER_S = 70
/** Receivers err by so much between houses. */
const ERROR_M = 150

/** Judges a position after the last one that was taken. Pure. */
export function judge(last: Position | undefined, next: Position, now: number): Step {
  if (next.at > now + AHEAD_MS) return { kind: 'ahead' }
  if (next.at < now - WORTHLESS_AFTER_MS) return { kind: 'old' }
  if (last === undefined) return { kind: 'moved', jump: false }
  if (next.at <= last.at) return { kind: 'old' }
  const possible = ERROR_M + (FASTEST_M_PER_S * (next.at - last.at)) / 1_000
  return { kind: 'moved', jump: metresBetween(last, next) > possible }
}

const EARTH_M = 6_371_000
const radians = (degrees: number) => (degrees * Math.PI) / 180

/** Great-circle distance (haversine). */
export function metresBetween(a: Place, b: Place): number {
  const lat = Math.sin(radians(b.lat - a.lat) / 2) ** 2
  const lon = Math.sin(radians(b.lon - a.lon) / 2) ** 2
  const half = lat + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * lon
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(half)))
}

/** What holds a circle: latitudes, and one or, across the antimeridian, two ranges of longitude. */
export interface Box {
  south: number
  north: number
  lons: [number, number][]
}

/** The box around a circle. Holds at least the circle; at the poles every longitude. */
export function boxAround({ lat, lon }: Place, radiusM: number): Box {
  const dLat = (radiusM / EARTH_M) * (180 / Math.PI)
  const south = Math.max(-90, lat - dLat)
  const north = Math.min(90, lat + dLat)
  const widest = Math.cos(radians(Math.max(Math.abs(south), Math.abs(north))))
  const dLon = widest < 1e-6 ? 180 : dLat / widest
  if (dLon >= 180) return { south, north, lons: [[-180, 180]] }
  const [west, east] = [lon - dLon, lon + dLon]
  if (west < -180)
    return {
      south,
      north,
      lons: [
        [west + 360, 180],
        [-180, east],
      ],
    }
  if (east > 180)
    return {
      south,
      north,
      lons: [
        [west, 180],
        [-180, east - 360],
      ],
    }
  return { south, north, lons: [[west, east]] }
}

/** Some 100 m: where somebody is as strangers may know it. */
export function coarse({ lat, lon }: Place): Place {
  return { lat: Math.round(lat * 1_000) / 1_000, lon: Math.round(lon * 1_000) / 1_000 }
}

/** A position as those see it who follow a ride. */
export function locationFrame(driver: string, { lat, lon, heading, speed, at }: Position, jump: boolean) {
  return {
    type: 'location',
    driver,
    lat,
    lon,
    heading,
    speed,
    at: new Date(at).toISOString(),
    ...(jump ? { jump } : {}),
  } as const
}
