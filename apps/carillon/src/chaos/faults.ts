import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineServer } from '@carillon/engines'
import type { Simulators } from '@carillon/simulators'
import type { Front } from './readers/front.js'
import type { RoleProcess } from './role-process.js'

/** One kind of trouble. `strike` makes it and heals it again; it resolves when the healed part is ready. */
export interface Fault {
  kind: string
  strike(): Promise<void>
}

/** How long a part stays away. */
const AWAY_MS = 1_500

const CUTS = 3

/**
 * Every process killed with SIGKILL in turn, of several of one role one after the other; the readers' connections
 * reset; and a provider that answers nothing but 503.
 */
export function listFaults(parts: {
  roles: readonly RoleProcess[]
  engines: readonly { name: string; server: EngineServer }[]
  simulators: Simulators
  /** Before what readers read from. */
  front: Pick<Front, 'cut'>
}): Fault[] {
  const roles = new Set(parts.roles.map(({ role }) => role))
  return [
    ...[...roles].map((role) =>
      killOneOf(
        role,
        parts.roles.filter((process) => process.role === role),
      ),
    ),
    ...parts.engines.map(({ name, server }) => ({
      kind: `kill -9 ${name}`,
      async strike() {
        await server.kill()
        await sleep(AWAY_MS)
        await server.restart()
      },
    })),
    {
      kind: 'cut readers',
      async strike() {
        for (let cut = 0; cut < CUTS; cut++) {
          parts.front.cut()
          await sleep(AWAY_MS / CUTS)
        }
      },
    },
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

function killOneOf(role: string, processes: readonly RoleProcess[]): Fault {
  let turn = 0
  return {
    kind: `kill -9 ${role}`,
    async strike() {
      const process = processes[turn++ % processes.length] as RoleProcess
      await process.kill()
      await sleep(AWAY_MS / 3)
      await process.start()
    },
  }
}
