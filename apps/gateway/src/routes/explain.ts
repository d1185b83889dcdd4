import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { explainEventFor } from '../explained-event.js'
import { summariseEvent } from '../explained-summary.js'
import { eventBy } from '../find-event.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'

const ExplainQuery = Type.Object(
  {
    user: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'Whose story; without it how the event did as a whole. A person gets their own.',
      }),
    ),
    source: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'With it, id is the CloudEvents id.' }),
    ),
    all: Type.Optional(
      Type.Union([Type.Literal('true'), Type.Literal('false')], {
        description: 'Also name the workflows that listen to other types.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** Why somebody heard of an event, or didn't. */
export function addExplainRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/events/:id/explain',
    {
      schema: {
        summary: 'Why somebody heard of an event, or did not',
        description:
          'One paragraph in `text`, the same as data in `reasons` and `workflows`. What is not stored is computed from the kept event and the workflow versions of then, and labelled `computed` with its `basis`.',
        tags: ['events'],
        params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 512 }) }),
        querystring: ExplainQuery,
        response: answers({
          200: Type.Object({ text: Type.String() }, { additionalProperties: true }),
        }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { source, all } = request.query
      const asPerson = principal.kind === 'user'
      const user = asPerson ? principal.externalId : request.query.user
      if (request.query.user !== undefined && request.query.user !== user)
        throw new HttpProblem(403, 'OWN_ONLY', 'A person may ask for their own story only.', {
          field: 'user',
        })
      const event = await eventBy(deps, { tenant, id: request.params.id, source })
      return deps.database.inTenant(
        tenant,
        async (tx) => {
          if (user === undefined) return summariseEvent(tx, { tenant, event })
          const story = await explainEventFor(tx, { tenant, event, user, asPerson, all: all === 'true' })
          // what told a person nothing is not theirs to know of
          if (asPerson && (story.runs as unknown[]).length === 0) throw notFound('event')
          return story
        },
        { readOnly: true },
      )
    },
  )
}
