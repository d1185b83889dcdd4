import type { FastifyInstance } from 'fastify'
import { networkOf, type PushKind } from '../network.js'
import type { Simulators } from '../start.js'
import { PUSH_KINDS } from './page-state.js'
import { problem } from './problem.js'

interface OfDevice {
  Params: { kind: PushKind; action: string }
  /** A token is too long for a path. */
  Body: { to: string; nid?: string }
}

/** What a person does with a phone or a browser: `online`, `offline`, and `dismiss` of one notification. */
export function addDeviceRoutes(
  app: FastifyInstance,
  { simulators, changed }: { simulators: Simulators; changed(): void },
): void {
  const network = networkOf(simulators)
  app.post<OfDevice>('/dev/devices/:kind/:action', async (request, reply) => {
    const { kind, action } = request.params
    const { to = '', nid } = request.body ?? {}
    const change = changeOf(action, nid)
    if (!PUSH_KINDS.includes(kind) || change === undefined) {
      return problem(reply, 404, 'There is no such device or action.')
    }
    const device = await network.changeDevice(kind, to, change)
    if (device === undefined) return problem(reply, 404, 'There is no such device.')
    changed()
    return { online: device.online, stored: device.stored, shown: device.shown }
  })
}

function changeOf(
  action: string,
  nid: string | undefined,
): { online: boolean } | { dismiss: string } | undefined {
  if (action === 'online' || action === 'offline') return { online: action === 'online' }
  return action === 'dismiss' && nid !== undefined ? { dismiss: nid } : undefined
}
