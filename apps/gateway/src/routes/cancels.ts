import { cancelRuns } from '@carillon/postgres'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { answers, type Edge } from '../route.js'
import { Key } from '../schemas/shapes.js'

const CancelSchema = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 256, description: 'What `cancelKey` gave for the runs.' }) },
  { additionalProperties: false },
)
const CancelAnswer = Type.Object({
  key: Type.String(),
  waiting: Type.Integer({ description: 'Runs that waited or gathered: they end without another word.' }),
  complete: Type.Integer({
    description: 'Runs that had gone through: what is still queued is withdrawn, what was sent has gone.',
  }),
})

/** Cancelling by key, in whatever order trigger and cancel arrive. */
export function addCancelRoutes(app: Edge, deps: EdgeDeps): void {
  app.post(
    '/workflows/:key/cancel',
    {
      schema: {
        summary: 'Cancel the runs of a workflow by key',
        description:
          'Holds for runs that have begun, and for those whose event happened before this and is still on its way.',
        tags: ['workflows'],
        params: Type.Object({ key: Key }),
        body: CancelSchema,
        response: answers({ 200: CancelAnswer }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key: workflowKey } = request.params
      const { key } = request.body
      return deps.outbox.change(tenant, async (tx, tell) => {
        const met = await cancelRuns(tx, [{ tenant, workflowKey, key, atMs: deps.now() }])
        tell(
          deps.trail.fact(
            principal,
            {
              area: 'workflows',
              action: 'cancelled',
              resource: `workflow:${workflowKey}`,
              details: { key, ...met },
            },
            request.id,
          ),
        )
        return { key, ...met }
      })
    },
  )
}
