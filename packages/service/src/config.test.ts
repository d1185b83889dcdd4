import t from 'tap'
import { Type } from 'typebox'
import { ConfigError, integerKey, layerFile, listKey, maskConfig, readConfig, textKey } from './config.js'

const schema = Type.Object({
  natsUrl: textKey({ env: 'NATS_URL', description: 'Address of NATS.' }),
  port: integerKey({
    env: 'CARILLON_PORT',
    description: 'Port to listen on.',
    default: 0,
    minimum: 0,
    maximum: 65535,
  }),
  key: textKey({ env: 'CARILLON_KEY', description: 'A key.', secret: true, default: 'unset' }),
  origins: listKey({ env: 'CARILLON_ALLOWED_ORIGINS', description: 'Origins.', default: [] }),
})

t.test('the environment wins over the file, the file over defaults', async (t) => {
  const file =
    'NATS_URL: nats://file\nCARILLON_PORT: 7000\nCARILLON_ALLOWED_ORIGINS: [https://a.example, https://b.example]\n'
  const config = readConfig(schema, { env: layerFile(file, { NATS_URL: 'nats://a' }) })
  t.same(config, {
    natsUrl: 'nats://a',
    port: 7000,
    key: 'unset',
    origins: ['https://a.example', 'https://b.example'],
  })
  t.ok(Object.isFrozen(config))
})

t.test('every problem is reported at once, with its key and what it is', async (t) => {
  try {
    readConfig(schema, { env: { CARILLON_PORT: 'eighty' } })
    t.fail('accepted')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    t.same(error.problems.map((problem) => problem.key).sort(), ['CARILLON_PORT', 'NATS_URL'])
    t.match(error.message, /Address of NATS/)
  }
})

t.test('every missing key is named, not the first alone', async (t) => {
  const two = Type.Object({
    one: textKey({ env: 'ONE', description: 'The first.' }),
    other: textKey({ env: 'OTHER', description: 'The second.' }),
  })
  try {
    readConfig(two, { env: {} })
    t.fail('accepted')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    t.same(error.problems, [
      { key: 'ONE', problem: 'is missing.', remedy: 'It is: The first.' },
      { key: 'OTHER', problem: 'is missing.', remedy: 'It is: The second.' },
    ])
  }
})

t.test('a file that is not YAML is a problem of its own', async (t) => {
  for (const text of ['a: [', '- a', 'natsUrl: x'])
    t.throws(() => layerFile(text, {}), { code: 'CONFIG_INVALID' })
  t.same(layerFile('', { A: '1' }), { A: '1' })
})

t.test('secrets and passwords in addresses are masked when shown', async (t) => {
  const config = readConfig(schema, { env: { NATS_URL: 'nats://user:hidden@host', CARILLON_KEY: 'hidden' } })
  t.notMatch(JSON.stringify(maskConfig(schema, config)), /hidden/)
})
