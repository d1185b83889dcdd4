export { moveAdvisories } from './advisories.js'
export { type Answering, type AnswerOptions, type AskOptions, answerQuestions, ask } from './ask.js'
export { type Backlog, backlogOf } from './backlog.js'
export {
  type Connection,
  type ConnectionOptions,
  type ConnectionStatus,
  type Credentials,
  openConnection,
} from './connection.js'
export {
  type ConsumeHooks,
  type ConsumeOptions,
  type Consumption,
  type ConsumptionStats,
  consume,
  type Handle,
  PATIENT,
} from './consume.js'
export { type CoreMessage, type CoreSubscription, subscribeCore } from './core-subscription.js'
export { tenantOf } from './dead-letters.js'
export {
  ApiError,
  type ApiErrorCode,
  ConnectionError,
  type ConnectionErrorCode,
  PublishError,
  type PublishErrorCode,
  TopologyError,
  type TopologyErrorCode,
} from './errors.js'
export { countLetters, findLetter, type Letter, readLetters, redriveLetter } from './letters.js'
export { DONE, dead, type Outcome, retryAfter } from './outcomes.js'
export { createPublisher, type Publisher, type PublisherOptions } from './publisher.js'
export type { Received } from './received.js'
export {
  lastOfSubject,
  readSubject,
  type StoredMessage,
  type StreamState,
  type SubjectRange,
  streamState,
  wasPublished,
} from './stored-messages.js'
export { applyTopology } from './topology/apply.js'
export { assertTopology, type NeededTopology } from './topology/assert.js'
export type { Difference } from './topology/compare.js'
export { type ConsumerSpec, loadTopology, type StreamSpec, type Topology } from './topology/load.js'
export { type RolePermissions, rolePermissions } from './topology/permissions.js'
export { type Change, driftTopology, type PlanRow, planTopology } from './topology/plan.js'
export { type Rendering, renderTopology } from './topology/render.js'
export type { OutgoingMessage, PublishOutcome } from './transmit.js'
export {
  createWindowPublisher,
  type WindowPublisher,
  type WindowPublisherOptions,
} from './window-publisher.js'
