import { type InboxMethod, isToken, userId } from '@carillon/contracts'
import { HttpProblem, sha256 } from '@carillon/service'
import type { EdgeDeps } from '../edge-deps.js'
import { createInboxChanges } from '../inbox/change-inbox.js'
import { readInbox, readUnread, type Whose } from '../inbox/read-inbox.js'
import { snoozeTime } from '../inbox/snooze-time.js'
import { type Person, unauthorized } from '../principal.js'
import {
  INBOX_PARAMS,
  InboxQuestionSchema,
  type MarkParams,
  type PageParams,
  type RemoveParams,
  type SnoozeParams,
} from './inbox-params.js'
import { createCheck } from './validate.js'

/** One operation that somebody asks for, ready to run. */
export interface InboxWish {
  method: InboxMethod
  person: Person
  run(): Promise<unknown>
}

/** Reads a question of a tenant's user. @throws HttpProblem 400, or 401 for what is no tenant */
export type ReadInboxQuestion = (tenant: string, question: unknown) => InboxWish

const PAGE = 50

/** The operations of an inbox as a realtime connection asks for them: the same ones as over HTTP. */
export function createInboxQuestions(
  deps: Pick<EdgeDeps, 'database' | 'outbox' | 'position' | 'now'>,
): ReadInboxQuestion {
  const changes = createInboxChanges(deps)
  const checkQuestion = createCheck(InboxQuestionSchema)
  const checkParams = Object.fromEntries(
    Object.entries(INBOX_PARAMS).map(([method, schema]) => [method, createCheck(schema)]),
  )
  const changed = async (count: Promise<number>) => ({ changed: await count })
  const marks =
    (mark: 'seen' | 'read' | 'archived') =>
    (whose: Whose, { ids, set = true }: MarkParams) =>
      changed(changes.mark(whose, ids, mark, set))

  const operations: Record<InboxMethod, (whose: Whose, params: never) => Promise<unknown>> = {
    inbox: (whose, { limit = PAGE, ...wish }: PageParams) => readInbox(deps, whose, { ...wish, limit }),
    'inbox.unread': (whose) => readUnread(deps, whose),
    'inbox.seen': marks('seen'),
    'inbox.read': marks('read'),
    'inbox.archived': marks('archived'),
    'inbox.snoozed': (whose, { ids, until }: SnoozeParams) =>
      changed(changes.snooze(whose, ids, until === null ? null : snoozeTime(until, deps.now()))),
    'inbox.delete': (whose, { ids }: RemoveParams) => changed(changes.remove(whose, ids)),
    'inbox.read-all': (whose) => changed(changes.readAll(whose)),
  }

  return (tenant, asked) => {
    if (!isToken(tenant)) throw unauthorized()
    const { method, params, user } = checkQuestion(asked)
    if (user.id !== userId(sha256, tenant, user.externalId)) {
      throw new HttpProblem(400, 'VALIDATION', 'user.id is not the id of this user.', { field: 'user.id' })
    }
    const checked = checkParams[method]?.(params ?? {}) as never
    const whose = { tenant, userId: user.id }
    const person: Person = { kind: 'user', tenant, ...user, roles: [] }
    // async, so that what an operation throws at once rejects too
    return { method, person, run: async () => operations[method](whose, checked) }
  }
}
