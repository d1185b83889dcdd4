import { spawnSync } from 'node:child_process'
import t from 'tap'
import { createFailpoint } from './failpoint.js'

t.test('without a spec every place is passed', async (t) => {
  const failpoint = createFailpoint(undefined, { production: true })
  t.doesNotThrow(() => failpoint('after-commit'))
})

t.test('a spec is refused in production', async (t) => {
  t.throws(() => createFailpoint('after-commit:1', { production: true }), /unset CARILLON_FAILPOINT/)
})

t.test('kills the process, unclean, at the pass that the spec names and at no other place', async (t) => {
  const module = new URL('./failpoint.js', import.meta.url).href
  const script = `
    const { createFailpoint } = await import(${JSON.stringify(module)})
    const failpoint = createFailpoint('here:2', { production: false })
    for (const name of ['there', 'here', 'there', 'here', 'here']) { failpoint(name); console.log(name) }`
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  t.equal(ended.signal, 'SIGKILL')
  t.strictSame(ended.stdout.trim().split('\n'), ['there', 'here', 'there'])
})
