import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'

/** Runs a role whose `start` is the text given, as a process; SIGTERM follows once it has started. */
async function runRole(t: Test, start: string): Promise<{ code: number | null; output: string }> {
  const index = new URL('./index.js', import.meta.url).href
  const script = `
    const { CarillonError, runProcess } = await import(${JSON.stringify(index)})
    await runProcess({ name: 'role', start: async () => { ${start} } })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { timeout: 120_000 })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  let asked = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (!asked && output.includes('process.started')) {
      asked = true
      child.kill('SIGTERM')
    }
  })
  await once(child, 'close')
  return { code: child.exitCode, output }
}

const role = (drain: string) => `
  const open = setInterval(() => undefined, 1000)
  return { name: 'role', async drain() { ${drain} },
    async [Symbol.asyncDispose]() { clearInterval(open); console.log('disposed') } }`

t.test('SIGTERM drains, disposes and ends with 0', async (t) => {
  const { code, output } = await runRole(t, role("console.log('drained')"))
  t.equal(code, 0)
  t.match(output, /drained[\s\S]*disposed[\s\S]*process\.stopped/)
})

t.test('ends with 2 for a configuration that cannot work, and names the remedy', async (t) => {
  const { code, output } = await runRole(
    t,
    "throw new CarillonError('CONFIG_INVALID', 'no url', { remedy: 'Set the url.' })",
  )
  t.equal(code, 2)
  t.match(output, /Set the url\./)
})

t.test('ends with 1 when it fails to start, or to drain', async (t) => {
  t.equal((await runRole(t, "throw new Error('no database')")).code, 1)
  t.equal((await runRole(t, role("throw new Error('stuck')"))).code, 1)
})
