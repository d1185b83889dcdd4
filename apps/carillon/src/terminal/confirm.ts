import { createInterface } from 'node:readline/promises'
import { CommandError, EXIT } from './failure.js'

/** Asks on the terminal; true only for "yes". @throws CommandError where nobody can be asked: `instead` says what to do */
export async function confirmed(question: string, instead: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new CommandError('Nobody can be asked here.', { remedy: instead, exitCode: EXIT.usage })
  const questions = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await questions.question(`${question} Type yes: `)
  questions.close()
  return answer.trim() === 'yes'
}
