import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, useFolder } from '@carillon/testkit'
import t from 'tap'
import {
  type SimulatedMessage,
  type SimulatorsProcess,
  type SimulatorsState,
  startSimulatorsProcess,
} from '../src/index.js'
import { openApns, openFcm, openWebPush, reachOf } from './raw-clients.js'

t.test('a process of its own goes on after kill -9 under the same ports and keys', async (t) => {
  const state = join(await useFolder(t), 'simulators.json')
  const own = await startSimulatorsProcess({ state, keep: 1000 })
  t.teardown(() => own[Symbol.asyncDispose]())
  await moveToQuietPorts(own, state)
  const { control, connection } = own
  const arrived: SimulatedMessage[] = []
  const following = await control.follow((message) => arrived.push(message))
  t.teardown(() => following[Symbol.asyncDispose]())
  const phone = await control.registerDevice('fcm', { name: 'phone' })
  const iphone = await control.registerDevice('apns', { name: 'iphone' })
  const browser = await control.registerDevice('webpush', { name: 'browser' })
  if (!browser.subscription) throw new Error('a browser has a subscription')
  const desktop = { id: browser.to, subscription: browser.subscription }
  await control.addFaults('sms', { id: 'kept', match: { prefix: '+43' }, reply: 'hang' })
  const ring = async (nid: string) => {
    const there = reachOf(own.connection)
    using toFcm = await openFcm(there)
    using toApns = openApns(there)
    using toWebPush = openWebPush(there)
    const answers = [
      await toFcm.send({ token: phone.to, notification: { title: nid }, data: { nid } }),
      await toApns.send(iphone.to, { aps: { alert: nid }, nid }),
      await toWebPush.send(desktop, {
        notification: { title: nid, data: { nid } },
      }),
    ]
    t.same(
      answers.map(({ status }) => status),
      [200, 200, 201],
    )
  }
  await ring('n1')
  const written = () => JSON.parse(readFileSync(state, 'utf8')).simulators as SimulatorsState
  await eventually(() => {
    const { fcm, apns, webpush } = written()
    return [fcm, apns, webpush].every(({ counters }) => counters.accepted === 1)
  })
  await own.kill()
  t.equal(own.pid, undefined)
  await own.start()
  t.same(own.connection, connection, 'workers need no new settings')
  await ring('n2')
  await ring('n1')
  await eventually(() => arrived.length === 9)
  t.equal(new Set(arrived.map(({ id }) => id)).size, 9, 'who follows comes back by itself')
  for (const [kind, { to }] of [
    ['fcm', phone],
    ['apns', iphone],
    ['webpush', browser],
  ] as const) {
    t.match(await control.device(kind, to), { received: 3, repeated: 1, shownTwice: 1 }, kind)
  }
  t.match(await control.faults('sms'), { rules: [{ id: 'kept', match: { prefix: '+43' } }] })
  t.match((await control.counters()).fcm, { accepted: 3, requests: 6, byStatus: { 200: 6 } })
  await own.stop()
  await own.start()
  t.equal((await control.messages()).length, 9, 'a stop loses nothing')
})

t.test('it refuses production and says why it does not start', async (t) => {
  const main = fileURLToPath(new URL('../src/main.js', import.meta.url))
  const said = async (args: string[], env: Record<string, string> = {}) => {
    const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } })
    let text = ''
    child.stderr.on('data', (part) => {
      text += part
    })
    const [code] = await once(child, 'close')
    return `${code} ${text.trim()}`
  }
  const no = '1 Simulators deliver to nobody: they do not run in production.'
  t.equal(await said([], { NODE_ENV: 'production' }), no)
  t.equal(await said([], { CARILLON_ENVIRONMENT: 'production' }), no)
  t.match(await said(['--keep', 'many']), /^1 --keep must be a whole number$/)
  t.match(await said(['--limits', '{"fcm":{"strange":1}}']), /^1 .*limits\.strange is not valid$/)
  t.match(await said(['--limits', '{"pigeon":{}}']), /^1 --limits: pigeon is no provider$/)
  await t.rejects(startSimulatorsProcess({ state: '/' }), { code: 'SIMULATORS_REFUSED' })
})

t.test('it ends with the process that started it, however that ends', async (t) => {
  const index = new URL('../src/index.js', import.meta.url).href
  const script = `import { startSimulatorsProcess } from '${index}'
    const own = await startSimulatorsProcess()
    process.stdout.write(own.pid + '\\n')
    setInterval(() => own, 1000)`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script])
  t.teardown(() => starter.kill('SIGKILL'))
  const [said] = await once(starter.stdout, 'data')
  const pid = Number(said)
  t.ok(runs(pid))
  starter.kill('SIGKILL')
  await eventually(() => !runs(pid))
})

/**
 * Gives it ports below those that the system hands out (from 32768 on Linux), which nobody takes while it is away.
 */
async function moveToQuietPorts(own: SimulatorsProcess, state: string): Promise<void> {
  await own.stop()
  const file = JSON.parse(readFileSync(state, 'utf8')) as { controlPort: number; simulators: SimulatorsState }
  const { fcm, apns, webpush, smtp, sms, webhook } = file.simulators
  for (let tries = 1; ; tries++) {
    let port = 10_000 + Math.floor(Math.random() * 20_000)
    file.controlPort = port
    for (const one of [fcm, apns, webpush, smtp, sms, webhook]) one.port = ++port
    writeFileSync(state, JSON.stringify(file))
    try {
      return await own.start()
    } catch (error) {
      if (tries === 10) throw error
    }
  }
}

/** A process that ended and was not yet collected doesn't run. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
