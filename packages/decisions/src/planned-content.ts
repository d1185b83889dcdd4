import type { DomainEvent } from '@carillon/contracts'
import type { ChannelStep } from './compile.js'
import type { LocalisedTexts } from './content.js'
import { eventScope } from './match.js'
import type { Plan, PlanInput, StepOutcome } from './plan.js'
import type { TextScope } from './texts.js'

/**
 * Renders what is delivered in this pass: the shared texts once, and each step's own.
 * @param demoted the step whose texts the inbox shows because of a cap
 * @throws RenderError
 */
export function renderPlanned(
  steps: readonly StepOutcome[],
  demoted: ChannelStep | undefined,
  input: PlanInput,
): Plan['content'] {
  const { workflow, facts, event } = input
  const content: Plan['content'] = {}
  const delivered = steps.filter((step) => step.outcome === 'deliver')
  if (delivered.length === 0 && demoted === undefined) return content
  const scope = textScope(input)
  const offered = offeredData(event)
  const render = (texts: LocalisedTexts): Plan['content'][string] => {
    const rendered: Plan['content'][string] = texts.render(scope, facts.tenantLocale)
    if (offered !== undefined) rendered.data = offered
    return rendered
  }
  if (!workflow.texts.isEmpty) content.inbox = render(workflow.texts)
  else if (demoted?.texts !== undefined) content.inbox = render(demoted.texts)
  for (const outcome of delivered) {
    const { type, texts } = workflow.steps[outcome.step] as ChannelStep
    if (texts !== undefined) content[type === 'inbox' ? 'inbox' : String(outcome.step)] = render(texts)
  }
  return content
}

function textScope({ event, facts }: PlanInput): TextScope {
  return {
    data: event.data,
    user: {
      id: facts.user.externalId,
      name: facts.user.name,
      email: facts.user.email,
      locale: facts.user.locale ?? facts.tenantLocale,
      timezone: facts.user.timezone,
    },
    event: eventScope(event),
  }
}

/** Data that an app gets along with the texts: what the event offers under `data.notification`. */
function offeredData(event: DomainEvent): object | undefined {
  const offered = (event.data as { notification?: unknown } | null)?.notification
  return typeof offered === 'object' && offered !== null && !Array.isArray(offered) ? offered : undefined
}
