import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineServer } from '@carillon/engines'
import type { Simulators } from '@carillon/simulators'
import type { RoleProcess } from './role-process.js'

/** One kind of trouble. `strike` makes it and heals it again; it resolves when the healed part is ready. */
export interface Fault {
  kind: string
  strike(): Promise<void>
}

/** How long a part stays away. */
const AWAY_MS = 1_500

/** Every process killed with SIGKILL in turn, and a provider that answers nothing but 503. */
export function listFaults(parts: {
  roles: readonly RoleProcess[]
  engines: readonly { name: string; server: EngineServer }[]
  simulators: Simulators
}): Fault[] {
  return [
    ...parts.roles.map((process) => ({
      kind: `kill -9 ${process.role}`,
      async strike() {
        await process.kill()
        await sleep(AWAY_MS / 3)
        await process.start()
      },
    })),
    ...parts.engines.map(({ name, server }) => ({
      kind: `kill -9 ${name}`,
      async strike() {
        await server.kill()
        await sleep(AWAY_MS)
        await server.restart()
      },
    })),
    {
      kind: 'break fcm',
      async strike() {
        parts.simulators.break('fcm')
        await sleep(AWAY_MS)
        parts.simulators.heal('fcm')
      },
    },
  ]
}
