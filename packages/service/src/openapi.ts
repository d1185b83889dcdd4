import { PROBLEM_TYPE } from '@carillon/contracts'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { type TSchema, Type } from 'typebox'

type Document = NonNullable<FastifyDynamicSwaggerOptions['openapi']>
type SecuritySchemes = NonNullable<NonNullable<Document['components']>['securitySchemes']>

/** What a role says of its part of the HTTP interface, besides its routes' schemas. */
export interface ApiPart {
  /** Ways to say who one is, beside `userToken`, which all have. */
  securitySchemes?: SecuritySchemes
  /** The server as others see it. */
  url?: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** What roles have said of this server. */
    described?: { servers: { url: string }[]; securitySchemes: SecuritySchemes }
  }
}

const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String({ description: 'Stable; branch on this.' }),
  detail: Type.String(),
  field: Type.Optional(Type.String()),
  correlationId: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), detail: Type.String() }))),
})
const problem = {
  description: 'What is wrong (RFC 9457).',
  content: { [PROBLEM_TYPE]: { schema: Problem } },
}

/** Answers of a route: its own, and problems for everything else. */
export function answers(own: Readonly<Record<number, TSchema | object>>): Record<string, object> {
  return { ...own, '4xx': problem, '5xx': problem }
}

/** For routes whose handler decodes everything itself and says more than a schema could. The schema documents. */
export const decodedByHandler = () => () => true

/**
 * Describes a server at `/openapi.json`: all its routes that have a tag and come after the first call, whichever role
 * adds them, from their own schemas. Each role calls it with the server itself, before it adds its routes.
 */
export async function describeApi(http: FastifyInstance, { url, securitySchemes }: ApiPart): Promise<void> {
  const described = http.described ?? (await addDocument(http))
  if (url !== undefined) described.servers.push({ url })
  Object.assign(described.securitySchemes, securitySchemes)
}

async function addDocument(http: FastifyInstance): Promise<NonNullable<FastifyInstance['described']>> {
  const userToken = { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Token of a user.' }
  // read when the document is made: roles that come later add to them
  const described = { servers: [], securitySchemes: { userToken } as SecuritySchemes }
  http.decorate('described', described)
  await http.register(swagger, {
    hideUntagged: true,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Carillon',
        version: '1',
        description: 'One event in, every bell rings. Errors are RFC 9457 problems with a stable `code`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: described.servers,
      components: { securitySchemes: described.securitySchemes },
    },
  })
  http.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(http.swagger()),
  )
  return described
}
