import { setTimeout as sleep } from 'node:timers/promises'
import type { Ride } from '@carillon/rides'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { callRides } from '../demo/call-rides.js'
import { meet } from '../demo/meet.js'
import { explainEvent, hearRings, tellRings } from '../demo/rings.js'
import { startMesh } from '../mesh/up.js'
import { EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'

/** How long people have to look at each step. */
const STEP_MS = 2_500

/** `carillon demo`: one ride through the rides service, told step by step. */
export async function demo(args: { fast?: boolean }, context: CommandContext): Promise<number> {
  const out = process.stdout
  await using mesh = await startMesh({
    ...context,
    progress: createProgress(out),
    workflows: {
      pushed: () => undefined,
      refused: (file, problem) => out.write(`  ${pc.red('✗')} ${file}: ${problem}\n`),
    },
  })
  out.write(`\n  Ada takes a ride with Mira. Watch it at ${pc.cyan(mesh.url)}\n`)
  const heard = hearRings(mesh)
  const { service, person } = callRides(mesh)
  const pause = () => sleep(args.fast === true ? 0 : STEP_MS)
  const told = async (title: string, path: string, body?: object): Promise<Ride> => {
    out.write(`\n  ${pc.bold(title)}\n`)
    heard.clear()
    const ride = await service<Ride>(path, body)
    await tellRings(mesh, `${ride.id}.${ride.state}`, { heard, out })
    await pause()
    return ride
  }
  const ride = await told('Ada asks for a ride', '/rides', {
    customerId: 'ada',
    customer: 'Ada',
    from: 'Karlsplatz',
    to: 'Prater',
    city: 'vienna',
    minutes: 4,
    amountCents: 1_450,
    currency: 'EUR',
  })
  const driver = { id: 'mira', name: 'Mira', car: 'blue Ioniq, W-4711' }
  await told('Mira accepts', `/rides/${ride.id}/accept`, driver)
  const [ada, mira] = await Promise.all([person('ada'), person('mira')])
  const driveSeconds = args.fast === true ? 1 : 3
  await meet({ mesh, rideId: ride.id, ada, mira, heard, out, driveSeconds })
  await told('Mira arrives', `/rides/${ride.id}/arrive`)
  await told('The ride is complete', `/rides/${ride.id}/complete`)
  await told('Ada pays', `/rides/${ride.id}/pay`)
  out.write(`\n  ${pc.bold('Why did Ada hear that Mira accepted?')}\n`)
  out.write(`  ${await explainEvent(mesh, `${ride.id}.accepted`, 'ada')}\n\n`)
  return EXIT.ok
}
