import type { InboxFilter } from '../api.js'
import { CarillonError } from '../errors.js'
import type { Http } from '../link/http.js'
import type { Mark } from './marks.js'
import type { InboxPage } from './model.js'

const MAX_IDS = 100

/** The inbox where it is kept. Each call goes over the connection, and over HTTP where that has no such thing. */
export interface RemoteInbox {
  /** @throws CarillonError, UnauthorizedError */
  page(wish: { filter: InboxFilter; before: string | undefined; limit: number }): Promise<InboxPage>
  /** @throws CarillonError, UnauthorizedError */
  unread(): Promise<number>
  /** Repeating it changes nothing. @throws CarillonError, UnauthorizedError */
  mark(mark: Mark): Promise<void>
}

export function createRemoteInbox(
  rpc: (method: string, params: object) => Promise<unknown>,
  http: Http,
): RemoteInbox {
  const either = async <T>(method: string, params: object, byHttp: () => Promise<T>): Promise<T> => {
    try {
      return (await rpc(method, params)) as T
    } catch (error) {
      if (!(error instanceof CarillonError) || error.code !== 'NOT_AVAILABLE') throw error
      return byHttp()
    }
  }
  return {
    page({ filter, before, limit }) {
      const wish = { filter, limit, ...(before === undefined ? {} : { before }) }
      const query = new URLSearchParams(Object.entries(wish).map(([name, value]) => [name, String(value)]))
      return either('inbox', wish, async () => (await http.call('GET', `/v1/inbox?${query}`)) as InboxPage)
    },
    async unread() {
      const answer = await either('inbox.unread', {}, () => http.call('GET', '/v1/inbox/unread'))
      return (answer as { unread: number }).unread
    },
    async mark(mark) {
      if (mark.kind === 'read-all') {
        await either('inbox.read-all', {}, () => http.call('POST', '/v1/inbox/read-all'))
        return
      }
      for (let from = 0; from < mark.ids.length; from += MAX_IDS) {
        const ids = mark.ids.slice(from, from + MAX_IDS)
        await either(`inbox.${mark.kind}`, { ids, ...wordsOf(mark) }, () => oneByOne(http, mark, ids))
      }
    },
  }
}

function wordsOf(mark: Exclude<Mark, { kind: 'read-all' }>): object {
  if (mark.kind === 'snoozed') return { until: mark.until }
  return mark.kind === 'delete' ? {} : { set: mark.set }
}

async function oneByOne(
  http: Http,
  mark: Exclude<Mark, { kind: 'read-all' }>,
  ids: readonly string[],
): Promise<void> {
  const takes = mark.kind === 'delete' || (mark.kind === 'snoozed' ? mark.until === null : !mark.set)
  const body = mark.kind === 'snoozed' && mark.until !== null ? { until: mark.until } : undefined
  for (const id of ids) {
    const path = `/v1/inbox/${id}${mark.kind === 'delete' ? '' : `/${mark.kind}`}`
    try {
      await http.call(takes ? 'DELETE' : 'PUT', path, body)
    } catch (error) {
      // somebody removed it meanwhile: there is nothing left to mark
      if (!(error instanceof CarillonError) || (error.status !== 404 && error.status !== 410)) throw error
    }
  }
}
