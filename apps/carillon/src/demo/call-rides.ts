import type { RunningMesh } from '../mesh/up.js'
import { CommandError } from '../terminal/failure.js'

/** A call of the rides service; without a method POST. */
export type CallRides = <T>(path: string, body?: object, method?: 'GET' | 'POST' | 'PUT') => Promise<T>

/** The rides service as other services call it, and as the people of the demonstration do. */
export function callRides(mesh: RunningMesh): { service: CallRides; person(id: string): Promise<CallRides> } {
  const as =
    (token: string): CallRides =>
    async <T>(path: string, body?: object, method = 'POST') => {
      const answer = await fetch(`${mesh.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (!answer.ok)
        throw new CommandError(`The rides service answers ${answer.status}: ${await answer.text()}`)
      return (await answer.json()) as T
    }
  const service = as(mesh.keys.ridesToken)
  return {
    service,
    person: async (id) => as((await service<{ token: string }>(`/people/${id}/session`)).token),
  }
}
