export { RoomError, type RoomErrorCode } from './errors.js'
export {
  type ChannelGrant,
  channelGrantOf,
  grantsOf,
  isChannelPattern,
  isChannelToken,
  MAX_CHANNEL_GRANTS,
  type Permissions,
  permissionsOf,
} from './grants.js'
export { checkData, type DataProblem, MAX_PUBLICATION_BYTES } from './publication.js'
export { decodePublisher, encodePublisher } from './publisher-header.js'
export { createRuleBook, type RuleBook, type RuleBookDeps, readChannelRules } from './rule-book.js'
export { type CompiledRule, createRuleCompiler, type RuleCompiler } from './rule-compiler.js'
export { MAX_SCHEMA_BYTES } from './schema-check.js'
