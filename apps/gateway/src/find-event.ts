import { eventHash, eventRowId, isUuid } from '@carillon/contracts'
import { type EventRecord, findEvent, findEventKey } from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import type { EdgeDeps } from './edge-deps.js'

/**
 * An event by our row id, or with `source` by the CloudEvents id.
 * @throws HttpProblem 404 that says what may have happened to it
 */
export async function eventBy(
  deps: EdgeDeps,
  wanted: { tenant: string; id: string; source: string | undefined },
): Promise<EventRecord> {
  const { tenant, id, source } = wanted
  let rowId: string | undefined = isUuid(id) ? id : undefined
  let seen: number | undefined
  if (source !== undefined) {
    const hash = eventHash(sha256, { tenant, source, id })
    seen = await findEventKey(deps.database, hash.subarray(0, 16))
    rowId = seen === undefined ? undefined : eventRowId(seen, hash)
  }
  const event =
    rowId === undefined
      ? undefined
      : await deps.database.inTenant(tenant, (tx) => findEvent(tx, { tenant, id: rowId }), { readOnly: true })
  if (event === undefined) throw new HttpProblem(404, 'EVENT_UNKNOWN', whereItMayBe({ id, source, seen }))
  return event
}

function whereItMayBe({
  id,
  source,
  seen,
}: {
  id: string
  source: string | undefined
  seen: number | undefined
}): string {
  if (seen !== undefined) {
    return `The event "${id}" from "${source}" was accepted and first seen at ${new Date(seen).toISOString()}, but it is kept no more.`
  }
  const named = source === undefined ? `"${id}"` : `"${id}" from "${source}"`
  const how =
    source === undefined
      ? 'If this is the id that its publisher gave it, ask with ?source= as well. '
      : 'Id and source must be those that its publisher sent. '
  return (
    `No event ${named} is known. ${how}Otherwise it was never accepted: its publisher got no 202; ` +
    'or it still waits for its turn: ask again in a minute; or it is older than what is kept; ' +
    'or it stands among the dead letters: `carillon dlq list --poison` shows them.'
  )
}
