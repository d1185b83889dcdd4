import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { useFolder } from '@carillon/testkit'
import fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { appPage } from './app-page.js'

const LOCAL = { host: 'localhost:4100' }

t.test('the built page comes with a policy, its assets for ever', async (t) => {
  const folder = await useFolder(t)
  await mkdir(join(folder, 'assets'))
  await writeFile(join(folder, 'index.html'), '<h1>App</h1>')
  await writeFile(join(folder, 'assets/index-1.js'), 'run()')
  await writeFile(join(folder, 'assets/index-1.js.map'), '{}')
  const app = await open(t, folder)
  const page = await app.inject({ url: '/dev/app', headers: LOCAL })
  t.equal(page.body, '<h1>App</h1>')
  t.match(page.headers, {
    'content-type': /^text\/html/,
    'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/,
    'cache-control': 'no-cache',
  })
  const script = await app.inject({ url: '/dev/app/assets/index-1.js', headers: LOCAL })
  t.equal(script.body, 'run()')
  t.match(script.headers, { 'content-type': /^text\/javascript/, 'cache-control': /immutable/ })
  const other = await app.inject({ url: '/dev/app/assets/index-1.js.map', headers: LOCAL })
  t.equal(other.statusCode, 404, 'what no page asks for')
})

t.test('a token is for people of the demonstration, under a local name', async (t) => {
  const app = await open(t, await useFolder(t))
  const session = async (query: string, host = 'localhost') => {
    const { statusCode, body } = await app.inject({ url: `/dev/app/session${query}`, headers: { host } })
    return { statusCode, token: (JSON.parse(body) as { token?: string }).token }
  }
  t.same(await session(''), { statusCode: 200, token: 'token of ada for room:demo-lounge, latest:demo-map' })
  t.match(await session('?as=mira', '127.0.0.1:80'), { statusCode: 200, token: /^token of mira/ })
  t.same(await session('?as=eve'), { statusCode: 404, token: undefined })
  t.same(await session('?as=constructor'), { statusCode: 404, token: undefined })
  t.same(await session('', 'carillon.evil.example'), { statusCode: 421, token: undefined })
})

t.test('a page that was not built says how to build it', async (t) => {
  const app = await open(t, join(await useFolder(t), 'nothing'))
  const { statusCode, body } = await app.inject({ url: '/dev/app', headers: LOCAL })
  t.equal(statusCode, 503)
  t.match(body, /npm start/)
})

async function open(t: Test, folder: string): Promise<FastifyInstance> {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(appPage, {
    folder: pathToFileURL(`${folder}/`),
    carillon: {
      userToken: async (user, { channels = {} } = {}) => ({
        token: `token of ${user} for ${Object.keys(channels).join(', ')}`,
        expiresAt: new Date(0).toISOString(),
      }),
    },
  })
  return app
}
