import pc from 'picocolors'
import { type RunningMesh, startMesh } from '../mesh/up.js'
import { type RungBell, ringEveryBell } from '../ring/bells.js'
import { openBrowser } from '../terminal/browser.js'
import { EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import { untilStopped } from '../terminal/until-stopped.js'

export interface UpArguments {
  once?: boolean
  port?: number
  open: boolean
}

/** Longest a single ring may take until the last bell. */
const ONCE_TIMEOUT_MS = 60_000

/** `carillon up`: the whole mesh on this machine. Resolves with the exit code after it was stopped. */
export async function up(
  args: UpArguments,
  context: { base: string; env: NodeJS.ProcessEnv },
): Promise<number> {
  const out = process.stdout
  const began = performance.now()
  const quiet = args.once === true
  const workflows = {
    pushed: (file: string, version: number) => {
      if (!quiet && announced) out.write(`  ${pc.green('✓')} ${file} is version ${version} now\n`)
    },
    refused: (file: string, problem: string) => out.write(`  ${pc.red('✗')} ${file}: ${problem}\n`),
  }
  let announced = false
  const stop = untilStopped()
  void stop.stopped.then(() => out.write(`\n  ${pc.dim('stopping…')}\n`))
  let mesh: RunningMesh
  try {
    mesh = await startMesh({
      ...context,
      workflows,
      progress: createProgress(out),
      signal: stop.signal,
      ...(args.port === undefined ? {} : { port: args.port }),
    })
  } catch (error) {
    // Ctrl-C reaches what the start waits for as well: its failure is no news
    if (stop.signal.aborted) return EXIT.interrupted
    throw error
  }
  await using _running = mesh
  if (quiet) return tellBells(await ringEveryBell(mesh, ONCE_TIMEOUT_MS), out)
  out.write(welcome(mesh, (performance.now() - began) / 1000))
  announced = true
  if (args.open) openBrowser(mesh.url, context.env)
  await stop.stopped
  return EXIT.ok
}

function tellBells(bells: readonly RungBell[], out: { write(text: string): unknown }): number {
  for (const { bell, ms } of bells) {
    out.write(ms === undefined ? `did not ring ${bell}\n` : `rang ${bell} ${ms} ms\n`)
  }
  return bells.every(({ ms }) => ms !== undefined) ? EXIT.ok : EXIT.failed
}

function welcome(mesh: { url: string; curl: string; workflowFile: string }, seconds: number): string {
  return `
  ${pc.bold('Carillon is up')} ${pc.dim(`after ${seconds.toFixed(1)} s`)}

  ${pc.cyan(pc.bold(mesh.url))}   the dev inbox: press Ring, and every bell rings
  ${pc.cyan(`${mesh.url}/dev/app`)}   bell, inbox, toasts and a room in an app
  ${pc.cyan(`${mesh.url}/docs`)}   the HTTP API

  Ring from a terminal:
  ${mesh.curl}

  Save ${pc.bold(mesh.workflowFile)} and the next ring reads differently.
  ${pc.dim('Ctrl-C stops everything; the next start finds its data again. Then npm run demo plays a whole ride.')}
`
}
