export { isCancelledBy } from './cancels.js'
export { checkExpression, createCelCompiler, type Expression } from './cel.js'
export { placeIn } from './cohorts.js'
export { type CompiledWorkflow, CompileError, compileWorkflow } from './compile.js'
export { type Conditions, createConditions, quietHoursOf } from './conditions.js'
export type { RenderedContent } from './content.js'
export {
  type Counter,
  type CountInput,
  counterName,
  countersOf,
  settleCounters,
  type TenantCap,
} from './counters.js'
export { type Joined, type Joining, joinDigest, type OpenDigest } from './digests.js'
export { planForFailure, planForUnknown } from './ended-plans.js'
export { RenderError } from './errors.js'
export {
  type ExplainedReason,
  type ExplainInput,
  type Explanation,
  explain,
  type GatheredItem,
} from './explain.js'
export type { ExplainedDelivery } from './explain-deliveries.js'
export { BASIS, explainEvent, type WorkflowStory } from './explain-event.js'
export { explainRecipient, type PersonToday } from './explain-recipients.js'
export type { Digest, DigestItem, Facts, Preference, QuietHours } from './facts.js'
export { cancelKeyOf, keyOf } from './keys.js'
export { createMatcher, type Matcher, matchExplain, type WorkflowOutcome } from './match.js'
export { joinParts, judgeOrFail, sends } from './passes.js'
export {
  type HeldStep,
  type Plan,
  type PlanInput,
  type PlannedAddress,
  plan,
  type StepOutcome,
} from './plan.js'
export { judgePreferences, type PreferenceVerdict } from './preferences.js'
export { type Group, type RecipientSelection, recipientsOf, selectionOf } from './recipients.js'
export type { Decision } from './replay/decision.js'
export {
  createPeople,
  type People,
  type PeopleSource,
  type WrittenPerson,
  type WrittenPreference,
  type WrittenTenant,
} from './replay/people.js'
export { type Accepted, createReplay, type Replay, type ReplayOptions } from './replay/replay.js'
export { type CelScope, celScope, type UserScope, userScope } from './scope.js'
export { compileRules, stepNames } from './step-names.js'
export {
  awaitedBy,
  type ChannelStep,
  type CompiledStep,
  channelStepOf,
  type DigestStep,
  everyStep,
  type WaitStep,
} from './steps.js'
export { type Broken, brokenBy, type InForce } from './template-changes.js'
export {
  type StoredTemplate,
  type Templates,
  type TemplateUsers,
  templateProblem,
  templatesOf,
  usersOfTemplate,
} from './templates.js'
export type { TextScope } from './text-scope.js'
export { type Calendar, createCalendar } from './time/calendar.js'
export { type LocalTime, localTimeProblem, type Weekday } from './time/local-time.js'
export { type QuietWindow, quietWindowProblem } from './time/quiet-window.js'
export { isTimezone } from './time/zones.js'
export {
  createWorkflowValidator,
  type Validated,
  validateWorkflow,
  type WorkflowProblem,
  type WorkflowValidator,
} from './validate.js'
