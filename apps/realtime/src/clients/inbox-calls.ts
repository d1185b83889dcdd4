import { askSubject, INBOX_METHODS, type InboxMethod, type InboxQuestion } from '@carillon/contracts'
import type { Identity } from '../access/identity.js'
import { ERRORS, type ProtocolError } from '../protocol/codes.js'
import { isRecord } from '../protocol/commands.js'

/** Operations on a person's inbox that come over their connection. */
export interface InboxCalls {
  /** Answers with the operation's data, or with why it was refused. @throws ApiError nobody answers */
  call(
    identity: Identity,
    method: string,
    params: unknown,
  ): Promise<{ data: unknown } | { error: ProtocolError }>
}

/** The gateway answers: it alone writes what belongs to people. */
export function createInboxCalls(
  ask: (subject: string, question: InboxQuestion) => Promise<unknown>,
): InboxCalls {
  return {
    async call(identity, method, params) {
      if (!isInboxMethod(method)) return { error: ERRORS.methodNotFound }
      const user = { id: identity.userId, externalId: identity.externalId }
      const answer = await ask(askSubject('inbox', identity.tenant), { method, params: params ?? {}, user })
      if (!isRecord(answer)) return { error: ERRORS.internal }
      if (answer.ok === true) return { data: answer.data ?? {} }
      const { status, detail } = answer
      if (typeof status !== 'number' || status < 400) return { error: ERRORS.internal }
      return {
        error: {
          code: status,
          message: String(detail ?? 'refused'),
          ...(status === 429 || status >= 500 ? { temporary: true } : {}),
        },
      }
    },
  }
}

function isInboxMethod(method: string): method is InboxMethod {
  return (INBOX_METHODS as readonly string[]).includes(method)
}
