import type { FastifyInstance } from 'fastify'
import type { SimulatedMessage } from '../inbox.js'
import type { Simulators } from '../start.js'
import type { DkimKeys } from './dkim.js'
import type { DevEdge } from './edge.js'
import { mailDetails } from './mail-details.js'
import { mailReport } from './mail-reports.js'
import { problem } from './problem.js'

/** A mail is somebody's HTML: no script, no form, no request but for pictures. */
const MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; sandbox"
const UNSUBSCRIBE_WITHIN_MS = 10_000

type ById = { Params: { id: string } }

/** What a person, a mail program and a mail server do with a mail. */
export function addMailRoutes(
  app: FastifyInstance,
  deps: { simulators: Simulators; edge: DevEdge; keys: DkimKeys },
): void {
  const { simulators, edge, keys } = deps
  const find = (id: string): SimulatedMessage | undefined =>
    simulators.inbox.list().find((message) => message.id === id && message.provider === 'smtp')

  app.get<ById>('/dev/mail/:id', async (request, reply) => {
    const mail = find(request.params.id)
    if (!mail?.html) return problem(reply, 404, 'There is no such mail.')
    reply.header('content-security-policy', MAIL_POLICY).type('text/html; charset=utf-8')
    return mail.html
  })
  app.get<ById>('/dev/mail/:id/details', async (request, reply) => {
    const mail = find(request.params.id)
    return mail ? mailDetails(mail, keys) : problem(reply, 404, 'There is no such mail.')
  })
  app.post<ById & { Querystring: { undo?: string } }>('/dev/mail/:id/unsubscribe', async (request, reply) => {
    const mail = find(request.params.id)
    const url = mail && mailDetails(mail, keys).unsubscribe
    if (url === undefined) return problem(reply, 404, 'This mail names no address for one click.')
    const status = await clickOnce(request.query.undo === undefined ? url : `${url}/undo`)
    return status < 300 ? { status } : problem(reply, 502, `Unsubscribing was answered ${status}.`)
  })
  for (const [path, kind] of [
    ['bounce', 'bounce'],
    ['complain', 'complaint'],
  ] as const) {
    app.post<ById>(`/dev/mail/:id/${path}`, async (request, reply) => {
      const mail = find(request.params.id)
      return mail ? edge.handInMail(mailReport(kind, mail)) : problem(reply, 404, 'There is no such mail.')
    })
  }
}

/** RFC 8058 §3.1: a POST of that one field, without cookies, following nothing. */
async function clickOnce(url: string): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'List-Unsubscribe=One-Click',
    redirect: 'manual',
    signal: AbortSignal.timeout(UNSUBSCRIBE_WITHIN_MS),
  })
  await response.body?.cancel()
  return response.status
}
