// Behind `npm start`, `npm test`, `npm run demo|bench|check`: makes a fresh clone ready, then runs the command.
import { join } from 'node:path'
import { buildTypes, buildWeb, planBuild } from './build.mjs'
import { install, needsInstall, writableEnvironment } from './install.mjs'
import { handOver, ProgramFailed, step } from './steps.mjs'
import { root } from './workspace.mjs'

const cli = 'apps/carillon/bin/carillon.mjs'
const commands = {
  start: [cli, 'up'],
  demo: [cli, 'demo'],
  bench: [cli, 'bench'],
  chaos: [cli, 'chaos'],
  test: ['tools/test.mjs'],
  check: ['tools/check.mjs'],
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 20)) {
  console.error(`Carillon needs Node 20.20 or newer; this is ${process.versions.node}.`)
  process.exit(1)
}
const [name, ...rest] = process.argv.slice(2)
const command = commands[name]
if (!command) {
  console.error(`usage: node tools/run.mjs ${Object.keys(commands).join('|')} [arguments]`)
  process.exit(2)
}

try {
  const env = writableEnvironment(process.env)
  if (needsInstall()) await step('installing packages', () => install(env))
  const plan = planBuild()
  if (plan.types) await step('building', () => buildTypes(env))
  for (const folder of plan.web) await step(`building ${folder}`, () => buildWeb(folder, env))
  if (plan.types || plan.web.length > 0) plan.done()
  const args = rest[0] === '--' ? rest.slice(1) : rest
  const [script, ...fixed] = command
  process.exitCode = await handOver(process.execPath, [join(root, script), ...fixed, ...args], {
    cwd: process.cwd(),
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
  })
} catch (error) {
  if (!(error instanceof ProgramFailed)) throw error
  console.error(`${error.output}\n${error.message}`)
  process.exitCode = error.exitCode
}
