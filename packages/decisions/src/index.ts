export type { CelScope } from './cel.js'
export {
  type ChannelStep,
  type CompiledStep,
  type CompiledWorkflow,
  CompileError,
  compileWorkflow,
  type StepOptions,
  stepOf,
  type Templates,
  type WaitStep,
} from './compile.js'
export type { RenderedContent } from './content.js'
export { planForFailure, planForUnknown } from './ended-plans.js'
export { RenderError } from './errors.js'
export {
  type ExplainedDelivery,
  type ExplainedReason,
  type ExplainInput,
  type Explanation,
  explain,
} from './explain.js'
export type { Facts, Preference } from './facts.js'
export { createMatcher, type Matcher, matchExplain, type WorkflowOutcome } from './match.js'
export {
  type Plan,
  type PlanInput,
  type PlannedAddress,
  plan,
  type StepOutcome,
} from './plan.js'
export { judgePreferences, type PreferenceVerdict } from './preferences.js'
export { type RecipientSelection, recipientsOf } from './recipients.js'
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
