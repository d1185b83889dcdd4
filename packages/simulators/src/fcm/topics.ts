import type { Outcome, SimulatorRequest } from '../https-server.js'
import { parseRecord } from '../inbox.js'
import { json } from './answers.js'
import type { FcmDevice } from './device.js'

/** A topic's name, without the `/topics/` that the subscription calls put before it. */
export const TOPIC = /^[a-zA-Z0-9-_.~%]+$/
const MAX_TOKENS = 1000
const MAX_TOPICS = 2000
const MAX_CONDITION_TOPICS = 5

/** Answers `iid/v1:batchAdd` and `:batchRemove`: one result for each token, in order. */
export function manageTopics(
  request: SimulatorRequest,
  how: 'add' | 'remove',
  find: (token: string) => FcmDevice | undefined,
): Outcome {
  const { to, registration_tokens: tokens } = parseRecord(request.body.toString('utf8'))
  const topic = String(to).replace(/^\/topics\//, '')
  if (!Array.isArray(tokens) || tokens.length === 0 || tokens.length > MAX_TOKENS || !TOPIC.test(topic)) {
    return json(400, { error: 'INVALID_ARGUMENT' })
  }
  const results = tokens.map((token) => {
    const device = find(String(token))
    if (!device || device.state === 'unregistered') return { error: 'NOT_FOUND' }
    if (device.state === 'other-sender') return { error: 'PERMISSION_DENIED' }
    if (how === 'remove') device.topics.delete(topic)
    else if (device.topics.size >= MAX_TOPICS && !device.topics.has(topic))
      return { error: 'TOO_MANY_TOPICS' }
    else device.topics.add(topic)
    return {}
  })
  return json(200, { results })
}

type Predicate = (topics: ReadonlySet<string>) => boolean

/** Reads `'a' in topics && ('b' in topics || !('c' in topics))`, at most five topics. Undefined when it is none. */
export function parseCondition(text: string): Predicate | undefined {
  const tokens = text.match(/'[^']*'|\bin\b|\btopics\b|&&|\|\||[!()]|\S/g) ?? []
  let at = 0
  let named = 0
  const next = (word: string) => tokens[at] === word && ++at > 0

  const either = (): Predicate | undefined => {
    let left = both()
    while (left && next('||')) left = combine(left, both(), (a, b) => a || b)
    return left
  }
  const both = (): Predicate | undefined => {
    let left = one()
    while (left && next('&&')) left = combine(left, one(), (a, b) => a && b)
    return left
  }
  const one = (): Predicate | undefined => {
    if (next('!')) {
      const inner = one()
      return inner && ((topics) => !inner(topics))
    }
    if (next('(')) {
      const inner = either()
      return inner && next(')') ? inner : undefined
    }
    const name = /^'(.*)'$/.exec(tokens[at] ?? '')?.[1]
    at++
    if (name === undefined || !TOPIC.test(name) || !next('in') || !next('topics')) return undefined
    named++
    return (topics) => topics.has(name)
  }
  const whole = either()
  return at === tokens.length && named <= MAX_CONDITION_TOPICS ? whole : undefined
}

function combine(
  left: Predicate,
  right: Predicate | undefined,
  how: (a: boolean, b: boolean) => boolean,
): Predicate | undefined {
  return right && ((topics) => how(left(topics), right(topics)))
}
