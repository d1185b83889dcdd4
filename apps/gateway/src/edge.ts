import { describeApi } from '@carillon/service'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import type { GatewayConfig } from './config.js'
import type { EdgeDeps } from './edge-deps.js'
import { assertMediaType, assertRoute, type Guard } from './guard.js'
import { addDocumentPage, describeAccess } from './openapi.js'
import { addParsers, MEDIA_TYPES } from './parsers.js'
import { adapterProblem } from './problems.js'
import { createRepetition } from './repeat.js'
import type { Edge } from './route.js'
import { addAdministrationRoutes } from './routes/administration.js'
import { addAttentionRoutes } from './routes/attention.js'
import { addCallbackRoutes } from './routes/callbacks.js'
import { addCancelRoutes } from './routes/cancels.js'
import { addChannelRuleRoutes } from './routes/channel-rules.js'
import { addChannelRoutes } from './routes/channels.js'
import { addDeadLetterRoutes } from './routes/dead-letters.js'
import { addDeviceRoutes } from './routes/devices.js'
import { addEffectivePreferenceRoutes } from './routes/effective-preferences.js'
import { addEventRoutes } from './routes/events.js'
import { addExplainRoutes } from './routes/explain.js'
import { addInboxRoutes } from './routes/inbox.js'
import { addLiveActivityRoutes } from './routes/live-activities.js'
import { addMailReportRoutes } from './routes/mail-reports.js'
import { addNotificationRoutes } from './routes/notifications.js'
import { addProviderRoutes } from './routes/providers.js'
import { addReceiptRoutes } from './routes/receipts.js'
import { addRecordedRoutes } from './routes/recorded.js'
import { addSettingsRoutes } from './routes/settings.js'
import { addShadowRoutes } from './routes/shadow.js'
import { addSuppressionRoutes } from './routes/suppressions.js'
import { addTemplateRoutes } from './routes/templates.js'
import { addTenantRoutes } from './routes/tenant.js'
import { addTopicRoutes } from './routes/topics.js'
import { addUnsubscribeRoutes } from './routes/unsubscribe.js'
import { addUserRoutes } from './routes/users.js'
import { addWebPushKeyRoute } from './routes/webpush-key.js'
import { addWorkflowRoutes } from './routes/workflows.js'

const ROUTES = [
  addEventRoutes,
  addExplainRoutes,
  addNotificationRoutes,
  addCancelRoutes,
  addInboxRoutes,
  addUserRoutes,
  addDeviceRoutes,
  addLiveActivityRoutes,
  addWebPushKeyRoute,
  addSettingsRoutes,
  addAttentionRoutes,
  addEffectivePreferenceRoutes,
  addTopicRoutes,
  addChannelRoutes,
  addChannelRuleRoutes,
  addWorkflowRoutes,
  addTemplateRoutes,
  addAdministrationRoutes,
  addProviderRoutes,
  addTenantRoutes,
  addSuppressionRoutes,
  addDeadLetterRoutes,
  addReceiptRoutes,
  addCallbackRoutes,
  addMailReportRoutes,
  addUnsubscribeRoutes,
  addRecordedRoutes,
  addShadowRoutes,
]

/**
 * Adds `/v1` and `/docs` in a scope of their own: other roles' routes on this server are untouched. `/openapi.json`
 * describes both.
 */
export async function addEdge(
  http: FastifyInstance,
  deps: { config: GatewayConfig; edge: EdgeDeps; guard: Guard },
): Promise<void> {
  const { config, edge, guard } = deps
  const repetition = createRepetition(edge.database)
  await describeApi(http, {
    url: config.publicUrl,
    securitySchemes: {
      apiKey: { type: 'http', scheme: 'bearer', description: 'API key of a server: `ck_…`' },
    },
  })
  await http.register(async (scope) => {
    await addDocumentPage(scope)
    await scope.register(
      async (v1) => {
        await v1.register(helmet, {
          contentSecurityPolicy: {
            useDefaults: false,
            directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
          },
        })
        await v1.register(cors, {
          origin: config.allowedOrigins,
          methods: ['GET', 'POST', 'PUT', 'DELETE'],
          exposedHeaders: [
            'x-correlation-id',
            'ratelimit',
            'ratelimit-policy',
            'retry-after',
            'idempotent-replayed',
          ],
          maxAge: 600,
        })
        addParsers(v1)
        v1.decorateRequest('principal', undefined)
        v1.decorateRequest('claim', undefined)
        v1.addHook('onRoute', (route) => assertRoute(route, MEDIA_TYPES))
        v1.addHook('onRoute', describeAccess)
        v1.addHook('onRequest', guard.onRequest)
        v1.addHook('preParsing', assertMediaType)
        v1.addHook('preHandler', repetition.preHandler)
        v1.addHook('onSend', repetition.onSend)
        v1.addHook('onSend', async (_request, reply, payload) => {
          if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
          return payload
        })
        // the server's own handler writes the problem; here it only learns what the adapters mean
        v1.setErrorHandler((error) => {
          throw adapterProblem(error)
        })
        const app = v1.withTypeProvider() as unknown as Edge
        for (const add of ROUTES) add(app, edge)
      },
      { prefix: '/v1' },
    )
  })
}
