import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { createWorkflowValidator } from './validate.js'

const FOLDER = fileURLToPath(new URL('../../../../workflows', import.meta.url))

t.test('every workflow that comes with the repository can be published', async (t) => {
  const validate = createWorkflowValidator()
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'),
  )
  t.ok(files.length >= 7)
  const keys = new Set<string>()
  for (const file of files) {
    // the development mesh fills the place of its own webhook catcher
    const text = readFileSync(`${FOLDER}/${file}`, 'utf8').replace(/\$\{WEBHOOK_URL\}/g, 'https://127.0.0.1/')
    t.match(
      text,
      /^# yaml-language-server: \$schema=[./]+docs\/schemas\/workflow\.json\n/,
      `${file} names its schema`,
    )
    const result = validate(parse(text))
    t.same(result.ok ? [] : result.problems, [], file)
    if (!result.ok) continue
    t.equal(result.definition.key, basename(file, '.yaml'), `${file} is named by its key`)
    // one that only cancels has nothing to say
    const { content, locales } = result.definition
    t.ok(content === undefined || locales?.de !== undefined, `${file} speaks German`)
    keys.add(result.definition.key)
  }
  t.equal(keys.size, files.length, 'no key twice')
})
