// Makes a tenant, unless it is there, and an API key of it that may do everything, in the database DATABASE_OWNER_URL.
// Prints the key, which is shown only once.
import { createApiKey, createTenant, openDatabase } from '../packages/postgres/dist/src/index.js'

const [id, name = id] = process.argv.slice(2)
const url = process.env.DATABASE_OWNER_URL
if (id === undefined || url === undefined) {
  console.error('usage: DATABASE_OWNER_URL=… node deploy/make-tenant.mjs <id> [name]')
  process.exit(2)
}
const database = openDatabase({ url, max: 1, applicationName: 'make-tenant' })
try {
  const made = await database.inTenant(id, async (tx) => {
    await createTenant(tx, { id, name })
    return createApiKey(tx, { tenant: id, name: 'make-tenant', scopes: ['admin'], environment: 'live' })
  })
  console.log(made.key)
} finally {
  await database[Symbol.asyncDispose]()
}
