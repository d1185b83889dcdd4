import { askSubject, STANDING_SUBJECT } from '@carillon/contracts'
import { type Answering, answerQuestions, type Connection } from '@carillon/jetstream'
import { TENANT } from './realtime-dialects.js'

/** Answers what a realtime node asks a gateway: no rules of channels, nobody suspended. */
export function answerAsGateway(connection: Connection): AsyncDisposable {
  const onFailure = (error: unknown) => {
    throw error
  }
  const answering: Answering[] = [
    answerQuestions(connection, askSubject('channel-rules', TENANT), { onFailure }, () => ({ rules: [] })),
    answerQuestions(connection, STANDING_SUBJECT, { onFailure }, () => ({ fallen: [] })),
  ]
  return {
    async [Symbol.asyncDispose]() {
      for (const each of answering) await each.drain()
    },
  }
}
