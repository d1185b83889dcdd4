import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { Static, TSchema } from 'typebox'
import { ProblemSchema } from './schemas/shapes.js'

/** Requests are typed by their schemas; answers are cut to theirs when they are written. */
export interface EdgeTypes extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  serializer: unknown
}

export type Edge = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  EdgeTypes
>

/** Answers of a route: its own, and problems for everything else. */
export function answers(own: Readonly<Record<number, TSchema>>): Record<string, TSchema> {
  return { ...own, '4xx': ProblemSchema, '5xx': ProblemSchema }
}

/** For routes whose handler decodes everything itself and says more than a schema could. The schema documents. */
export const decodedByHandler = () => () => true
