export type {
  AuthoriseAnswer,
  AuthoriseQuestion,
  ChannelPermission,
  ChannelRule,
} from '@carillon/contracts'
export { ContractError } from '@carillon/contracts'
export type { AnswerChannels, AnswerChannelsOptions, Answering } from './answer-channels.js'
export { CarillonClientError, type PublishFailure, type RefusedField } from './errors.js'
export type { EventInput } from './event.js'
export {
  type CarillonClient,
  connectHttp,
  type DeviceInput,
  type HttpOptions,
  type PutWorkflowOptions,
  type UserInput,
  type WorkflowChange,
} from './http.js'
export { connectNats, type NatsClient, type NatsOptions } from './nats.js'
export type { Published, Publisher } from './publisher.js'
export { DEFAULT_RETRY, type RetryPolicy } from './retry.js'
export type {
  ChannelTokenOptions,
  IssuedToken,
  PublishedTo,
  PublishToOptions,
  RoomCalls,
  RoomHistoryEntry,
  RoomPublication,
  UserTokenOptions,
} from './rooms.js'
