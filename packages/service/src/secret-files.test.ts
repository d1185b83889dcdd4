import { join } from 'node:path'
import t from 'tap'
import { ConfigError, readSecretFiles } from './config.js'

t.test('fills a secret from its file, and leaves what is set or not ours', async (t) => {
  const folder = t.testdir({ secret: 'from-file\n' })
  const path = join(folder, 'secret')
  const env = await readSecretFiles({
    DATABASE_URL_FILE: path,
    RIDES_TOKEN_FILE: path,
    NATS_URL: 'set',
    NATS_URL_FILE: path,
    HOME_FILE: path,
  })
  t.match(env, { DATABASE_URL: 'from-file', RIDES_TOKEN: 'from-file', NATS_URL: 'set' })
  t.notOk('HOME' in env)
})

t.test('names every file that cannot be read', async (t) => {
  const missing = join(t.testdir({}), 'missing')
  const failed = await readSecretFiles({ REDIS_URL_FILE: missing, CARILLON_KEY_FILE: missing }).catch(
    (error: unknown) => error,
  )
  t.ok(failed instanceof ConfigError)
  t.match(failed, { message: /REDIS_URL_FILE[\s\S]*CARILLON_KEY_FILE/ })
})
