import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { ACCESS } from './access.js'

/** `/openapi.json`, made from the routes' own schemas, and a page to browse it at `/docs`. */
export async function addDocuments(scope: FastifyInstance, publicUrl: string): Promise<void> {
  await scope.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Carillon',
        version: '1',
        description:
          'One event in, every bell rings. Errors are RFC 9457 problems with a stable `code`. What browsers listen ' +
          'to (SSE, long-poll, WebSocket) is told in docs/guides/realtime.md.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: publicUrl }],
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'API key of a server: `ck_…`' },
          userToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Token of a user.' },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const methods = Array.isArray(route.method) ? route.method : [route.method]
      const access = ACCESS[`${methods.find((method) => method !== 'HEAD') ?? ''} ${url}`]
      if (access === undefined) return { schema, url }
      const security = [
        ...(access.scopes === undefined ? [] : [{ apiKey: [] }]),
        ...(access.user === true ? [{ userToken: [] }] : []),
        ...(access.anonymous === true ? [{}] : []),
      ]
      const scopes =
        access.scopes === undefined ? '' : `Scopes: ${[...new Set([...access.scopes, 'admin'])].join(', ')}.`
      const described = (schema as { description?: string } | undefined)?.description ?? ''
      return { schema: { ...schema, security, description: `${described} ${scopes}`.trim() }, url }
    },
  })
  await scope.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { deepLinking: true } })
  scope.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(scope.swagger()),
  )
}
