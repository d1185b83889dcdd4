import { randomUUID } from 'node:crypto'
import type { InboxReply } from '@carillon/contracts'
import { type Answering, answerQuestions, type Connection } from '@carillon/jetstream'
import { HttpProblem, toProblem } from '@carillon/service'
import type { Authenticator } from '../authenticate.js'
import type { EdgeDeps } from '../edge-deps.js'
import type { GatewayEvents } from '../events.js'
import type { Guard } from '../guard.js'
import { adapterProblem } from '../problems.js'
import { createInboxQuestions } from './inbox.js'

export interface InboxQuestionDeps {
  connection: Connection
  edge: Pick<EdgeDeps, 'database' | 'outbox' | 'position' | 'now'>
  authenticator: Pick<Authenticator, 'assertStanding'>
  guard: Pick<Guard, 'admit'>
  events: Pick<GatewayEvents, 'answered' | 'answerFailed'>
}

/** Questions in work at a time; the database has fewer connections, and who waits longer has given up. */
const AT_ONCE = 64
/** A reply has to fit into a message of NATS, 1 MB, and into a frame of the connection that asked. */
const MAX_REPLY_BYTES = 768 * 1024

/**
 * Answers what people ask of their inboxes over realtime connections. The tenant is the subject's; user and tenant must
 * stand as for a request, and a question counts as one request. Every question gets an answer, and none throws.
 */
export function answerInboxQuestions(deps: InboxQuestionDeps): Answering {
  const read = createInboxQuestions(deps.edge)
  let inWork = 0

  const work = async (tenant: string, question: unknown): Promise<InboxReply> => {
    const { method, person, run } = read(tenant, question)
    await deps.authenticator.assertStanding(person)
    await deps.guard.admit(person, `ASK ${method}`, randomUUID())
    return { ok: true, data: await run() }
  }

  const answer = async (question: unknown, subject: string): Promise<InboxReply> => {
    const [, , tenant = ''] = subject.split('.')
    if (inWork >= AT_ONCE) return overloaded()
    inWork++
    try {
      const reply = await work(tenant, question)
      return fits(reply) ? reply : tooLarge()
    } catch (error) {
      const problem = toProblem(adapterProblem(error))
      if (problem.code === 'INTERNAL') deps.events.answerFailed(subject, error)
      return refusal(problem)
    } finally {
      inWork--
    }
  }

  return answerQuestions(
    deps.connection,
    'ask.inbox.*',
    { queue: 'gateway', onFailure: (error, subject) => deps.events.answerFailed(subject, error) },
    async (question, subject) => {
      const reply = await answer(question, subject)
      deps.events.answered('inbox', reply.ok ? 'ok' : reply.code)
      return reply
    },
  )
}

function fits(reply: InboxReply): boolean {
  return Buffer.byteLength(JSON.stringify(reply)) <= MAX_REPLY_BYTES
}

function refusal({ status, code, message }: HttpProblem): InboxReply {
  return { ok: false, status, code, detail: message }
}

function tooLarge(): InboxReply {
  return refusal(new HttpProblem(413, 'PAGE_TOO_LARGE', 'The page is too large: ask for fewer with `limit`.'))
}

function overloaded(): InboxReply {
  return refusal(new HttpProblem(503, 'OVERLOADED', 'Too much to do at this moment. Try again shortly.'))
}
