import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { NODE_FLAGS } from './worker.js'

/** A process that answers questions, one at a time; disposal ends it. */
export interface Child extends AsyncDisposable {
  /** Asks and waits for the answer. Throws when the process ends instead. */
  ask<T>(question: unknown): Promise<T>
}

export type ChildScript =
  | 'push-client'
  | 'push-simulators'
  | 'realtime-clients'
  | 'realtime-peers'
  | 'realtime-server'

/**
 * Starts a script beside this one as a process of its own: its CPU is its own and its event loop shares nothing. Node's
 * flags are handed on, so `node --cpu-prof … bench push` writes a profile of each.
 */
export function startChild(script: ChildScript): Child {
  const file = new URL(`./${script}.js`, import.meta.url).pathname
  const child: ChildProcess = spawn(
    process.execPath,
    [...NODE_FLAGS, '--expose-gc', ...process.execArgv, file],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const answers = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  return {
    async ask<T>(question: unknown): Promise<T> {
      child.stdin?.write(`${JSON.stringify(question)}\n`)
      const { value, done } = await answers.next()
      if (done === true) throw new Error(`${script} ended with ${child.exitCode ?? child.signalCode}.`)
      return JSON.parse(value) as T
    },
    async [Symbol.asyncDispose]() {
      child.stdin?.end()
      await ended
    },
  }
}

/** The script's side: answers each line of its input with one line, until the input ends. */
export async function answerQuestions(answer: (question: unknown) => Promise<unknown>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`)
  }
}
