import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pc from 'picocolors'
import type { RunningMesh } from '../mesh/up.js'
import { CommandError } from '../terminal/failure.js'
import type { CallRides } from './call-rides.js'
import { type Heard, tellRings } from './rings.js'
import { type RideFrame, watchRide } from './watch-ride.js'

const FIVE_A_SECOND_MS = 200
const SEEN_WITHIN_MS = 5_000
/** From Karlsplatz to the north-east, some 10 m a position. */
const START = { lat: 48.1997, lon: 16.3702 }
const STEP = { lat: 0.00006, lon: 0.0001 }

interface Meeting {
  mesh: RunningMesh
  rideId: string
  ada: CallRides
  mira: CallRides
  heard: Heard
  out: { write(text: string): unknown }
  /** Seconds that Mira drives for. */
  driveSeconds: number
}

/** Ada and Mira find each other: they write, and Ada watches Mira come. */
export async function meet(meeting: Meeting): Promise<void> {
  const { mesh, rideId, ada, mira, heard, out } = meeting
  const write = (who: CallRides, text: string) =>
    who<{ id: string }>(`/rides/${rideId}/messages`, { text, clientId: randomUUID() })

  out.write(`\n  ${pc.bold("Mira writes, and Ada isn't looking")}\n`)
  heard.clear()
  const { id } = await write(mira, 'I am at the fountain, hazards on')
  await tellRings(mesh, id, { heard, out })

  out.write(`\n  ${pc.bold('Ada opens the ride, and they write')}\n`)
  const page = await openPage(meeting)
  try {
    for (const [who, name, text] of [
      [ada, 'Ada', 'Two minutes!'],
      [mira, 'Mira', 'No hurry. Coming round the square'],
    ] as const) {
      const ms = await page.until(
        (frame) => frame.text === text,
        () => write(who, text),
      )
      out.write(`    ${name.padEnd(4)} ${text} ${pc.dim(`— on Ada's page after ${ms} ms`)}\n`)
    }
    out.write(`\n  ${pc.bold('Ada watches Mira come')}\n`)
    await mira('/drivers/mira/online', { city: 'vienna' }, 'PUT')
    await drive(meeting, page)
  } finally {
    page.close()
  }
}

interface Page {
  /** Does something and waits until the page shows it; milliseconds between. */
  until(shown: (frame: RideFrame) => boolean, act: () => Promise<unknown>): Promise<number>
  close(): void
}

async function openPage({ mesh, ada, rideId }: Meeting): Promise<Page> {
  let listener: (frame: RideFrame) => void = () => undefined
  const watch = await watchRide(mesh, ada, { rideId, onFrame: (frame) => listener(frame) })
  return {
    close: () => watch.close(),
    async until(shown, act) {
      const began = performance.now()
      const seen = new Promise<number>((resolve) => {
        listener = (frame) => {
          if (shown(frame)) resolve(Math.round(performance.now() - began))
        }
      })
      await act()
      const late = new AbortController()
      try {
        return await Promise.race([
          seen,
          sleep(SEEN_WITHIN_MS, undefined, { signal: late.signal }).then(() => {
            throw new CommandError("What was sent didn't show on Ada's page.")
          }),
        ])
      } finally {
        late.abort()
      }
    },
  }
}

async function drive({ mira, out, driveSeconds }: Meeting, page: Page): Promise<void> {
  const delays: number[] = []
  out.write('    ')
  for (let n = 1; n <= driveSeconds * 5; n++) {
    const next = sleep(FIVE_A_SECOND_MS)
    const lat = START.lat + n * STEP.lat
    const position = {
      lat,
      lon: START.lon + n * STEP.lon,
      heading: 48,
      speed: 14,
      at: new Date().toISOString(),
    }
    delays.push(
      await page.until(
        (frame) => frame.lat === lat,
        () => mira('/drivers/mira/location', position, 'PUT'),
      ),
    )
    out.write(pc.cyan('›'))
    await next
  }
  const [middle, worst] = middleAndWorst(delays)
  out.write(
    ` ${pc.dim(`${delays.length} places, five a second, on Ada's page after ${middle} ms, at worst ${worst} ms; none is stored`)}\n`,
  )
}

function middleAndWorst(delays: readonly number[]): [number | undefined, number | undefined] {
  const sorted = [...delays].sort((a, b) => a - b)
  return [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]
}
