import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import t from 'tap'
import { parse } from 'yaml'
import { WorkflowSchema } from './workflow.js'

const PUBLISHED = new URL('../../../../docs/schemas/workflow.json', import.meta.url)
const WORKFLOWS = new URL('../../../../workflows/', import.meta.url)

t.test('the published schema is the one that workflows are checked with', async (t) => {
  const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...WorkflowSchema }
  // UPDATE_SCHEMAS=1 writes it anew after the shape has changed
  if (process.env.UPDATE_SCHEMAS === '1') writeFileSync(PUBLISHED, `${JSON.stringify(schema, null, 2)}\n`)
  t.strictSame(
    JSON.parse(readFileSync(PUBLISHED, 'utf8')),
    JSON.parse(JSON.stringify(schema)),
    'run this test with UPDATE_SCHEMAS=1, format docs/schemas and commit it',
  )
})

t.test('editors that know JSON Schema alone accept every workflow here and refuse wrong steps', async (t) => {
  const ajv = new Ajv2020({ allErrors: true })
  addFormats.default(ajv)
  const check = ajv.compile(JSON.parse(readFileSync(PUBLISHED, 'utf8')))
  const files = readdirSync(WORKFLOWS, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /\.yaml$/.test(name) && !name.endsWith('.test.yaml'),
  )
  t.ok(files.length >= 7)
  for (const file of files) {
    const text = readFileSync(new URL(file, WORKFLOWS), 'utf8')
    // the development mesh fills the place of its own webhook catcher
    t.ok(check(parse(text.replaceAll(/\$\{WEBHOOK_URL\}/g, 'https://webhook.example/'))), file)
  }
  const having = (steps: unknown[]) => check({ key: 'a', on: 'a.b', to: 'data.who', steps })
  const nested = (step: unknown) => [
    {
      branch: { if: 'true', then: [{ experiment: { cohorts: [{ name: 'a', share: 50, steps: [step] }] } }] },
    },
  ]
  for (const step of ['inbox', { push: { app: 'driver' } }, { wait: '1h' }, { digest: { window: '10m' } }]) {
    t.ok(having([step]), JSON.stringify(step))
    t.ok(having(nested(step)), `${JSON.stringify(step)} in a cohort in a branch`)
  }
  for (const step of [
    'fax',
    { fax: {} },
    { wait: 'soon' },
    { push: { colour: 'red' } },
    { push: {}, sms: {} },
  ]) {
    t.notOk(having([step]), JSON.stringify(step))
    t.notOk(having(nested(step)), `${JSON.stringify(step)} in a cohort in a branch`)
  }
})
