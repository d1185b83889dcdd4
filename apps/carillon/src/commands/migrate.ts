import { createLogins, migrate } from '@carillon/postgres'
import { readConfig, readSecretFiles, textKey } from '@carillon/service'
import { Type } from 'typebox'
import type { CommandContext } from '../cli.js'
import { EXIT } from '../terminal/failure.js'

const MigrateConfig = Type.Object({
  ownerUrl: textKey({
    env: 'DATABASE_OWNER_URL',
    description: 'PostgreSQL with a login that may create tables and roles.',
    secret: true,
  }),
  requestPassword: Type.Optional(
    Type.String({
      env: 'CARILLON_REQUEST_PASSWORD',
      description: 'Password of the login carillon_edge.',
      minLength: 8,
    }),
  ),
  workerPassword: Type.Optional(
    Type.String({
      env: 'CARILLON_WORKER_PASSWORD',
      description: 'Password of the login carillon_workers.',
      minLength: 8,
    }),
  ),
})

/** `carillon migrate`: schema forward; with both passwords given, the two logins of the roles as well. */
export async function migrateDatabase(context: CommandContext): Promise<number> {
  const config = readConfig(MigrateConfig, { env: await readSecretFiles(context.env) })
  const applied = await migrate({ ownerUrl: config.ownerUrl })
  for (const name of applied) process.stdout.write(`  + ${name}\n`)
  process.stdout.write(applied.length === 0 ? 'the schema is up to date\n' : `${applied.length} applied\n`)
  const { requestPassword, workerPassword } = config
  if (requestPassword !== undefined && workerPassword !== undefined) {
    await createLogins({
      ownerUrl: config.ownerUrl,
      requestLogin: { name: 'carillon_edge', password: requestPassword },
      workerLogin: { name: 'carillon_workers', password: workerPassword },
    })
    process.stdout.write('logins carillon_edge and carillon_workers are ready\n')
  }
  return EXIT.ok
}
