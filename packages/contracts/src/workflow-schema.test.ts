import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { WorkflowSchema } from './workflow.js'

const PUBLISHED = new URL('../../../../docs/schemas/workflow.json', import.meta.url)

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
