import { HttpProblem } from '@carillon/service'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { servicesOnly } from '../access/callers.js'
import type { RidesDeps } from '../rides-deps.js'
import { dropRefused, refusedRows, tryAgain } from './outbox-store.js'

const RowId = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,17}$' }) })
const LISTED = 100

/** What Carillon refused for good: to be looked at, tried again once its reason is mended, or given up. */
export const outboxRoutes: FastifyPluginAsyncTypebox<RidesDeps> = async (app, { pool, relay }) => {
  app.addHook('onRequest', servicesOnly)

  app.get('/outbox/refused', async () => ({ refused: await refusedRows(pool, LISTED) }))

  app.post('/outbox/refused/retry', async (_request, reply) => {
    const count = await tryAgain(pool)
    relay.nudge()
    return reply.code(202).send({ count })
  })

  app.post('/outbox/refused/:id/retry', { schema: { params: RowId } }, async (request, reply) => {
    const count = await tryAgain(pool, request.params.id)
    if (count === 0) throw unknownRow()
    relay.nudge()
    return reply.code(202).send({ count })
  })

  app.delete('/outbox/refused/:id', { schema: { params: RowId } }, async (request, reply) => {
    if (!(await dropRefused(pool, request.params.id))) throw unknownRow()
    return reply.code(204).send()
  })
}

function unknownRow(): HttpProblem {
  return new HttpProblem(404, 'ROW_UNKNOWN', 'No such row was set aside.')
}
