import { ChannelError, openCredentials } from '@carillon/channels'
import { sealedProvider } from '@carillon/postgres'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { personOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'

const DEFAULT = 'default'

/** What a browser subscribes with. */
export function addWebPushKeyRoute(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/me/webpush-key',
    {
      schema: {
        summary: 'The public key that a browser subscribes with',
        description: 'The VAPID key of the app, or of all apps when it has none of its own.',
        tags: ['me'],
        querystring: Type.Object(
          { app: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })) },
          { additionalProperties: false },
        ),
        response: answers({ 200: Type.Object({ publicKey: Type.String() }) }),
      },
    },
    async (request) => {
      const { tenant } = personOf(request)
      const of = (name: string) => ({ tenant, kind: 'webpush', app: name, name: DEFAULT })
      const { app: wanted = DEFAULT } = request.query
      const sealed = await deps.database.inTenant(
        tenant,
        async (tx) => (await sealedProvider(tx, of(wanted))) ?? (await sealedProvider(tx, of(DEFAULT))),
        { readOnly: true },
      )
      const publicKey = sealed && publicKeyOf(deps.masterKey, sealed, tenant)
      if (publicKey === undefined) throw notFound('web push key')
      return { publicKey }
    },
  )
}

function publicKeyOf(masterKey: Buffer, sealed: Buffer, tenant: string): string | undefined {
  try {
    const { publicKey } = openCredentials(masterKey, sealed, { tenant, provider: 'webpush' }) as {
      publicKey?: unknown
    }
    return typeof publicKey === 'string' ? publicKey : undefined
  } catch (error) {
    // sealed under a key that is gone: nobody could send either
    if (error instanceof ChannelError) return undefined
    throw error
  }
}
