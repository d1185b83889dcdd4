import type { DomainEvent } from '@carillon/contracts'
import type { LocalisedTexts } from './content.js'
import type { Digest } from './facts.js'
import type { Plan, PlanInput, StepOutcome } from './plan.js'
import { type CelScope, eventScope, userScope } from './scope.js'
import type { ChannelStep } from './steps.js'
import type { TextScope } from './texts.js'

/**
 * Renders what is delivered in this pass: the shared texts once, each step's own, and how a step is sent.
 * @param demoted the step whose texts the inbox shows because of a cap
 * @throws RenderError
 */
export function renderPlanned(
  steps: readonly StepOutcome[],
  demoted: ChannelStep | undefined,
  input: PlanInput,
  cel: CelScope,
): Plan['content'] {
  const { workflow, facts, event } = input
  const content: Plan['content'] = {}
  const delivered = steps.filter((step) => step.outcome === 'deliver')
  if (delivered.length === 0 && demoted === undefined) return content
  const scope = textScope(input)
  const offered = offeredData(event)
  const render = (texts: LocalisedTexts, items?: readonly number[]): Plan['content'][string] => {
    const told = items === undefined ? scope : withItems(scope, facts.digest as Digest, items)
    const rendered = texts.render(told, facts.tenantLocale)
    if (offered !== undefined)
      rendered.data = rendered.data === undefined ? offered : { ...offered, ...rendered.data }
    return rendered
  }
  const saysOwn = ({ step, items }: StepOutcome) =>
    items !== undefined || (workflow.steps[step] as ChannelStep).texts !== undefined
  if (!workflow.texts.isEmpty) content.inbox = render(workflow.texts)
  else if (demoted?.texts !== undefined) content.inbox = render(demoted.texts)
  // what the inbox alone shows isn't what the other steps share
  const ownInbox = delivered.some((outcome) => outcome.type === 'inbox' && saysOwn(outcome))
  for (const outcome of delivered) {
    const { type, texts, says } = workflow.steps[outcome.step] as ChannelStep
    const place = type === 'inbox' ? 'inbox' : String(outcome.step)
    if (saysOwn(outcome) || (type !== 'inbox' && ownInbox && !workflow.texts.isEmpty))
      content[place] = render(texts ?? workflow.texts, outcome.items)
    if (says === undefined) continue
    const told = outcome.items === undefined ? scope : withItems(scope, facts.digest as Digest, outcome.items)
    const options = says({ ...readerOf(input), scope: told, cel })
    content[place] = { ...content[place], options }
  }
  return content
}

function readerOf({ event, facts, now, fromStep }: PlanInput) {
  // what comes after a wait tells how it is then; an event says itself when it happened
  const happened = fromStep === undefined || fromStep === 0 ? Date.parse(event.time ?? '') : now
  const toldAt = Number.isNaN(happened) ? now : Math.min(happened, now)
  return { tenantLocale: facts.tenantLocale, now, toldAt }
}

function textScope({ event, facts }: PlanInput): TextScope {
  const { tenantLocale: locale, tenantTimezone: timezone } = facts
  const scope: TextScope = {
    data: event.data,
    user: userScope(facts.user, { locale, timezone }),
    event: eventScope(event),
  }
  return facts.digest === undefined ? scope : withItems(scope, facts.digest)
}

/** What texts see of a digest: all of it, or only some items. */
function withItems(scope: TextScope, { key, items }: Digest, only?: readonly number[]): TextScope {
  const shown = (only === undefined ? items : only.map((index) => items[index])).map((item) => item?.data)
  const digest = {
    key,
    count: shown.length,
    total: items.length,
    items: shown,
    first: shown[0],
    last: shown.at(-1),
  }
  return { ...scope, digest }
}

/** Data that an app gets along with the texts: what the event offers under `data.notification`. */
function offeredData(event: DomainEvent): Record<string, unknown> | undefined {
  const offered = (event.data as { notification?: unknown } | null)?.notification
  return typeof offered === 'object' && offered !== null && !Array.isArray(offered)
    ? (offered as Record<string, unknown>)
    : undefined
}
