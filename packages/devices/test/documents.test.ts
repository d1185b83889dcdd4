import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'

/** What helpers and guides show is what is sent: requests as the gateway's tests play them, payloads as the goldens are. */

interface Exchange {
  request: { method: string; path: string; headers: Record<string, string>; body?: unknown }
}

const REPOSITORY = new URL('../../../../', import.meta.url)
const read = (path: string) => readFile(new URL(path, REPOSITORY), 'utf8')
const requests = new Map<string, Exchange['request']>()
for (const file of await readdir(new URL('packages/devices/test/requests/', REPOSITORY))) {
  const exchange = JSON.parse(await read(`packages/devices/test/requests/${file}`)) as Exchange
  requests.set(file.replace('.json', ''), exchange.request)
}
const requestOf = (name: string) => {
  const request = requests.get(name)
  if (request === undefined) throw new Error(`there is no ${name}.json`)
  return request
}
const tight = (text: string) => text.replace(/\s+/g, '')

const HELPERS = {
  'android/Carillon.kt': ['register-android', 'acknowledge', 'sign-out'],
  'ios/Carillon.swift': ['register-iphone', 'acknowledge', 'live-activity', 'live-activity-end', 'sign-out'],
  'flutter/carillon.dart': ['register-android', 'acknowledge', 'sign-out'],
}

t.test('each helper shows the requests that it makes', async (t) => {
  for (const [file, names] of Object.entries(HELPERS)) {
    const text = await read(`packages/devices/${file}`)
    const lines = text.split('\n')
    const head = lines
      .slice(0, 24)
      .map((line) => line.replace(/^\s*(\*|\/\/\/)/, ''))
      .join('\n')
    t.match(
      head.replace(/\s+/g, ' '),
      /Not compiled in this repository; its requests are proven by apps\/gateway\/test\/phone-requests\.test\.ts\./,
      file,
    )
    for (const { method, path, body } of names.map(requestOf)) {
      t.ok(head.includes(`${method} ${path}`), `${file} names ${method} ${path}`)
      if (body !== undefined)
        t.ok(tight(head).includes(tight(JSON.stringify(body))), `${file} shows its body`)
      const code = lines.slice(24).join('\n')
      for (const name of fieldsOf(body)) t.match(code, new RegExp(`["']${name}["']`), `${file} sends ${name}`)
      t.ok(code.includes(`${method === 'POST' ? 'POST' : method}`))
    }
  }
})

for (const guide of ['web-push', 'android', 'ios', 'flutter']) {
  t.test(`docs/guides/${guide}.md shows what is sent`, async (t) => {
    const text = await read(`docs/guides/${guide}.md`)
    const blocks = [...text.matchAll(/(?:<!-- (\w+): ([\w-]+)(?: ([\w.]+))? -->\n)?```(\w+)\n([\s\S]*?)```/g)]
    t.ok(blocks.length > 3)
    for (const [, source, name = '', path = '', language, content = ''] of blocks) {
      const title = `${language} ${source ?? ''} ${name}`
      if (source === 'golden') {
        const golden = JSON.parse(await read(`packages/channels/test/golden/${name}.json`)) as unknown
        t.same(JSON.parse(content), at(golden, path.split('.')), title)
      } else if (source === 'request') {
        t.equal(tight(content), tight(asHttp(requestOf(name))), title)
      } else if (source === 'played') {
        // by apps/gateway/test/phone-requests.test.ts or web-push.test.ts
        t.ok(['sh', 'js'].includes(language ?? ''), title)
      } else {
        t.match(text.replace(/\s+/g, ' '), `he ${language} of this page is not run by our tests.`, title)
      }
    }
  })
}

function fieldsOf(body: unknown): string[] {
  if (Array.isArray(body)) return body.flatMap(fieldsOf)
  if (typeof body !== 'object' || body === null) return []
  return Object.entries(body).flatMap(([name, value]) => [name, ...fieldsOf(value)])
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], value)
}

function asHttp({ method, path, headers, body }: Exchange['request']): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [`${method} ${path}`, ...lines, '', body === undefined ? '' : JSON.stringify(body)].join('\n')
}
