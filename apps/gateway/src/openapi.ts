import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { ACCESS } from './access.js'

/** A page at `/docs` to browse what `/openapi.json` says, of all roles on this server. */
export async function addDocumentPage(scope: FastifyInstance): Promise<void> {
  await scope.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { deepLinking: true } })
}

/** Says in a route's schema who may call it. */
export function describeAccess(route: RouteOptions): void {
  const access = ACCESS[`${String(route.method)} ${route.url}`]
  if (access === undefined) return
  const security = [
    ...(access.scopes === undefined ? [] : [{ apiKey: [] }]),
    ...(access.user === true ? [{ userToken: [] }] : []),
    ...(access.anonymous === true ? [{}] : []),
  ]
  const scopes =
    access.scopes === undefined ? '' : `Scopes: ${[...new Set([...access.scopes, 'admin'])].join(', ')}.`
  const description = `${route.schema?.description ?? ''} ${scopes}`.trim()
  route.schema = { ...route.schema, security, description }
}
