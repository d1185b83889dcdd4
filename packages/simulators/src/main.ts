#!/usr/bin/env node
import { connectionOf } from './control/connection.js'
import { isProvider } from './control/routes.js'
import { startControl } from './control/server.js'
import { changeSettings } from './control/settings.js'
import { readMainOptions, SimulatorsRefused } from './main-options.js'
import { startSimulators } from './start.js'
import { keepState, readState, type StateKeeper } from './state-file.js'

/** All simulators and their control server in a process of their own; says how to reach them in one line of JSON. */
async function run(): Promise<void> {
  const options = readMainOptions(process.argv.slice(2), process.env)
  const file = options.state === undefined ? undefined : readState(options.state)
  let keeper: StateKeeper | undefined
  {
    await using simulators = await startSimulators({
      allow: 'development',
      ...(options.keep === undefined ? {} : { keep: options.keep }),
      ...(options.latencyMs === undefined ? {} : { latencyMs: options.latencyMs }),
      ...(file === undefined ? {} : { state: file.simulators }),
    })
    for (const [provider, limits] of Object.entries(options.limits)) {
      if (!isProvider(provider)) throw new SimulatorsRefused(`--limits: ${provider} is no provider`)
      changeSettings(simulators, provider, { limits })
    }
    const port = options.port ?? file?.controlPort
    await using control = await startControl(simulators, port === undefined ? {} : { port })
    const ended = whenEnded(options.leash)
    if (options.state !== undefined) {
      keeper = keepState(
        options.state,
        {
          version: () => JSON.stringify([simulators.counters(), simulators.inbox.total, control.changes]),
          state: () => ({ controlPort: control.port, simulators: simulators.save() }),
        },
        (error) => process.stderr.write(`the state could not be written: ${String(error)}\n`),
      )
      await keeper.saved()
    }
    process.stdout.write(`${JSON.stringify(connectionOf(simulators, control.url))}\n`)
    await ended
  }
  // what was answered until the end is in it
  await keeper?.[Symbol.asyncDispose]()
}

function whenEnded(leash: boolean): Promise<void> {
  return new Promise((resolve) => {
    const end = () => resolve()
    process.once('SIGTERM', end).once('SIGINT', end)
    if (leash) process.stdin.once('end', end).once('close', end).resume()
  })
}

try {
  await run()
} catch (error) {
  process.stderr.write(`${error instanceof SimulatorsRefused ? error.message : String(error)}\n`)
  process.exitCode = 1
}
process.stdin.destroy()
