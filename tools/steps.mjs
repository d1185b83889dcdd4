import { spawn } from 'node:child_process'

/**
 * Does one thing; says `name … 3.2 s` only if it takes more than a second, so that all is quiet when all is well.
 * @template T @param {string} name @param {() => Promise<T>} action @returns {Promise<T>}
 */
export async function step(name, action) {
  const started = performance.now()
  let announced = false
  const timer = setTimeout(() => {
    announced = true
    process.stderr.write(`${name} …`)
  }, 1_000)
  try {
    return await action()
  } finally {
    clearTimeout(timer)
    if (announced) process.stderr.write(` ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  }
}

/** A program that ended with an error; `output` is all that it said. */
export class ProgramFailed extends Error {
  constructor(command, code, output) {
    super(`${command} ended with ${code}`)
    this.name = 'ProgramFailed'
    this.code = 'PROGRAM_FAILED'
    this.exitCode = typeof code === 'number' ? code : 1
    this.output = output
  }
}

/** Runs a program quietly and returns what it printed. Throws ProgramFailed. */
export function capture(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.once('error', (error) => reject(new ProgramFailed(command, error.message, output)))
    child.once('close', (code, signal) =>
      code === 0 ? resolve(output) : reject(new ProgramFailed(command, code ?? signal, output)),
    )
  })
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 }

/**
 * Hands the terminal over to a program and returns its exit code. Ctrl-C reaches it from the terminal itself, so we
 * only wait; a SIGTERM or SIGHUP sent to us is passed on.
 */
export function handOver(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: 'inherit' })
    const pass = (signal) => child.kill(signal)
    const wait = () => undefined
    process.on('SIGINT', wait).on('SIGTERM', pass).on('SIGHUP', pass)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      process.off('SIGINT', wait).off('SIGTERM', pass).off('SIGHUP', pass)
      resolve(code ?? 128 + (signalNumbers[signal] ?? 0))
    })
  })
}
