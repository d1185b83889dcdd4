import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { askSubject } from '@carillon/contracts'
import { ask } from '@carillon/jetstream'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import { runCli } from './support.js'
import { TENANT, useWorld } from './world.js'

const world = await useWorld(t)
const folder = await useFolder(t)
const env = { CARILLON_URL: world.url, CARILLON_API_KEY: world.apiKey }
const cli = (args: string[], input = '') => runCli(t, ['channel', ...args], { env, input })

t.test(
  'rules of rooms are made, listed and taken away on the command line, and realtime is told',
  async (t) => {
    t.match(await cli(['rules']), { code: 0, stdout: /no rules/ })
    const file = join(folder, 'schema.json')
    const schema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }
    await writeFile(file, JSON.stringify(schema))
    t.match(
      await cli(['put', 'chat', '--authorise', '--allow', 'presence', '--no-joins', '--schema', file]),
      {
        code: 0,
        stdout: /^chat +services authorise · everybody may presence · joins are not told · typed\n$/,
      },
    )
    const rule = { namespace: 'chat', authorise: true, allow: ['presence'], joins: false, schema }
    t.match(JSON.parse((await cli(['rules', '--json'])).stdout), [rule])
    t.strictSame(await ask(world.connection, askSubject('channel-rules', TENANT), {}), { rules: [rule] })
    t.match(await cli(['put', 'chat', '--allow', 'fly']), { code: 2, stderr: /--allow names something else/ })
    t.match(await cli(['put', 'chat', '--schema', '-'], '{"type":"objekt"}'), {
      code: 1,
      stderr: /\/type must be/,
    })
    t.match(await cli(['put', 'chat', '--schema', '-'], 'type: object'), { code: 2, stderr: /no JSON/ })
    t.match(await cli(['put', 'chat', '--schema', join(folder, 'nowhere')]), {
      code: 2,
      stderr: /can't be read/,
    })

    t.match(await cli(['publish', 'room:chat-1', '{"text":5}']), {
      code: 1,
      stderr: /\/data\/text must be string/,
    })
    t.match(await cli(['publish', 'room:chat-1', '[]']), { code: 2, stderr: /no object/ })
    t.match(await cli(['publish', 'room:chat-1', '-', '--from', 'ada'], '{"text":"hi"}'), {
      code: 0,
      stdout: /room:chat-1 at \d+/,
    })
    t.match(await cli(['publish', 'latest:chat-1', '{"text":"hi"}', '--key', 'k']), { code: 0 })
    const { stdout } = await cli(['history', 'room:chat-1', '--since', '0', '--limit', '5'])
    t.match(JSON.parse(stdout), { data: { text: 'hi' }, info: { user: 'ada', client: '' } })
    t.match(await cli(['history', 'latest:chat-1']), { code: 1, stderr: /Only a `room:` is kept/ })

    t.match(await cli(['delete', 'chat']), { code: 0, stdout: /no rule of its own/ })
    t.match(await cli(['delete', 'chat']), { code: 0 }, 'again is nothing')
    await eventually(async () => (await cli(['publish', 'room:chat-1', '{"text":5}'])).code === 0)
  },
)
