import { findWorkflow, listShadowExamples, listShadowResults } from '@carillon/postgres'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { Key } from '../schemas/shapes.js'

const Count = Type.Object({
  channel: Type.String(),
  same: Type.Integer({ description: 'Told by both.' }),
  more: Type.Integer({ description: 'By the shadow alone.' }),
  less: Type.Integer({ description: 'By the published version alone.' }),
})
const Comparison = Type.Object({
  shadowVersion: Type.Integer(),
  publishedVersion: Type.Integer({ description: '0: nothing was published.' }),
  from: Type.String({ description: 'Day, UTC.' }),
  to: Type.String(),
  channels: Type.Array(Count),
})
const Example = Type.Object({
  event: Type.String({ description: 'Id of the event.' }),
  recipient: Type.String(),
  at: Type.String(),
  publishedVersion: Type.Integer(),
  published: Type.Array(Type.Object({}, { additionalProperties: true })),
  shadow: Type.Array(Type.Object({}, { additionalProperties: true })),
})
const Answer = Type.Object({
  key: Key,
  shadow: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: 'The version that is judged now.',
  }),
  comparisons: Type.Array(Comparison),
  examples: Type.Array(Example),
})

/** How a shadow compares with what is published. */
export function addShadowRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/workflows/:key/shadow',
    {
      schema: {
        summary: 'What a shadow would have told, beside what was told',
        description:
          'Person by person and channel by channel, newest versions first, with examples of the newest shadow. Both sides are followed to the end of their runs, as if nobody looked.',
        tags: ['workflows'],
        params: Type.Object({ key: Key }),
        response: answers({ 200: Answer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const at = { tenant, key: request.params.key }
      return deps.database.inTenant(
        tenant,
        async (tx) => {
          const shadow = await findWorkflow(tx, { ...at, version: 'shadow' })
          const comparisons = await listShadowResults(tx, at)
          if (shadow === undefined && comparisons.length === 0) throw notFound('shadow of that workflow')
          const version = shadow?.version ?? comparisons[0]?.shadowVersion ?? 0
          const examples = await listShadowExamples(tx, { ...at, version })
          return {
            key: at.key,
            shadow: shadow?.version ?? null,
            comparisons,
            examples: examples.map(({ eventId: event, at: moment, ...example }) => ({
              ...example,
              event,
              at: moment.toISOString(),
            })),
          }
        },
        { readOnly: true },
      )
    },
  )
}
