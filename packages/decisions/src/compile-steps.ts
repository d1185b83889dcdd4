import {
  type DigestOptions,
  durationMs,
  type Step,
  type WaitOptions,
  type WorkflowDefinition,
} from '@carillon/contracts'
import type { CelNames, Expression } from './cel.js'
import type { LocalisedTexts } from './content.js'
import type { StepOptions } from './said-options.js'
import {
  ANY_KEY,
  type ChannelStep,
  type CompiledStep,
  type CompiledWait,
  channelStepOf,
  type DigestWindow,
} from './steps.js'

/** What compiling a step needs of its workflow. */
export interface StepCompiler {
  expression(source: string, path: string, names: CelNames): Expression
  /** The texts of a channel step that says something of its own. */
  texts(step: Pick<ChannelStep, 'type' | 'options' | 'path'>): LocalisedTexts | undefined
  /** How a channel step is sent, when it says something of it. */
  says(options: ChannelStep['options'], path: string): StepOptions | undefined
}

const DEFAULT_ITEMS = 100

/** Lays the steps out flat; see steps.ts. @throws CompileError, RenderError */
export function compileSteps(
  { key, steps }: Pick<WorkflowDefinition, 'key' | 'steps'>,
  compiler: StepCompiler,
): CompiledStep[] {
  const flat: CompiledStep[] = []
  const layOut = (list: readonly Step[], at: string): void => {
    list.forEach((step, index) => {
      add(step, `${at}.${index}`)
    })
  }
  const jump = (path: string) => {
    const made = { type: 'jump' as const, path, to: 0 }
    flat.push(made)
    return made
  }
  const add = (step: Step, path: string): void => {
    const channel = channelStepOf(step)
    if (channel !== undefined || typeof step === 'string') {
      flat.push(compileChannel(channel as NonNullable<typeof channel>, path, compiler))
    } else if ('wait' in step) {
      flat.push({
        type: 'wait',
        path,
        wait: compileWait(step.wait, path, compiler),
        text: waitText(step.wait),
      })
    } else if ('digest' in step) {
      flat.push(compileDigest(step.digest, path, compiler))
    } else if ('throttle' in step) {
      const { count, per, key: by } = step.throttle
      flat.push({
        type: 'throttle',
        path,
        count,
        per,
        perMs: ms(per),
        key: optional(by, `${path}.throttle.key`),
      })
    } else if ('cancel' in step) {
      const cancelKey = compiler.expression(step.cancel.key, `${path}.cancel.key`, 'run')
      flat.push({ type: 'cancel', path, workflow: step.cancel.workflow, key: cancelKey })
    } else if ('branch' in step) {
      const { if: text, then, else: otherwise } = step.branch
      const condition = compiler.expression(text, `${path}.branch.if`, 'run')
      const branch = { type: 'branch' as const, path, condition, text, otherwise: 0 }
      flat.push(branch)
      layOut(then, `${path}.branch.then`)
      const end = otherwise === undefined ? undefined : jump(path)
      branch.otherwise = flat.length
      if (otherwise !== undefined) layOut(otherwise, `${path}.branch.else`)
      if (end !== undefined) end.to = flat.length
    } else if ('experiment' in step) {
      addExperiment(step.experiment, path)
    }
  }
  const addExperiment = (
    { key: own, cohorts }: Extract<Step, { experiment: unknown }>['experiment'],
    path: string,
  ): void => {
    const laid: { name: string; upTo: number; at: number }[] = []
    const experiment = {
      type: 'experiment' as const,
      path,
      key: `${key}/${own ?? path}`,
      cohorts: laid,
      otherwise: 0,
    }
    flat.push(experiment)
    const ends: { to: number }[] = []
    let upTo = 0
    cohorts.forEach(({ name, share, steps: inside = [] }, place) => {
      upTo += share
      laid.push({ name, upTo, at: flat.length })
      layOut(inside, `${path}.experiment.cohorts.${place}.steps`)
      ends.push(jump(path))
    })
    for (const end of ends) end.to = flat.length
    experiment.otherwise = flat.length
  }
  const optional = (source: string | undefined, path: string): Expression | undefined =>
    source === undefined ? undefined : compiler.expression(source, path, 'run')
  layOut(steps, 'steps')
  return flat
}

function compileChannel(
  { type, options }: { type: ChannelStep['type']; options: ChannelStep['options'] },
  path: string,
  compiler: StepCompiler,
): ChannelStep {
  const at = `${path}.${type}`
  return {
    type,
    path,
    options,
    condition: options.if === undefined ? undefined : compiler.expression(options.if, `${at}.if`, 'run'),
    texts: compiler.texts({ type, options, path: at }),
    says: compiler.says(options, at),
  }
}

function compileWait(wait: WaitOptions, path: string, compiler: StepCompiler): CompiledWait {
  const at = `${path}.wait`
  if (typeof wait === 'string') return { kind: 'for', ms: ms(wait) }
  if ('until' in wait) return { kind: 'until', moment: compiler.expression(wait.until, `${at}.until`, 'run') }
  if ('at' in wait) return { kind: 'at', time: wait }
  if ('seen' in wait) return { kind: 'seen', ms: ms(wait.for) }
  if (!('event' in wait)) return { kind: 'for', ms: ms(wait.for) }
  const expression = wait.eventKey ?? wait.key ?? ANY_KEY
  compiler.expression(expression, wait.eventKey === undefined ? `${at}.key` : `${at}.eventKey`, 'event')
  const key = compiler.expression(wait.key ?? ANY_KEY, `${at}.key`, 'event')
  return { kind: 'event', event: wait.event, expression, key, ms: ms(wait.for) }
}

function waitText(wait: WaitOptions): string {
  if (typeof wait === 'string') return wait
  if ('until' in wait) return `until ${wait.until}`
  if ('at' in wait) return `until ${wait.at}${wait.days === undefined ? '' : ` on ${wait.days.join(', ')}`}`
  if ('seen' in wait) return `until it is seen, at most ${wait.for}`
  return 'event' in wait ? `for ${wait.event}, at most ${wait.for}` : wait.for
}

function compileDigest(digest: DigestOptions, path: string, compiler: StepCompiler): CompiledStep {
  const at = `${path}.digest`
  return {
    type: 'digest',
    path,
    window: windowOf(digest),
    key: digest.key === undefined ? undefined : compiler.expression(digest.key, `${at}.key`, 'run'),
    maxItems: digest.maxItems ?? DEFAULT_ITEMS,
    flushFirst: digest.flushFirst === true,
  }
}

function windowOf(digest: DigestOptions): DigestWindow {
  if ('window' in digest) return { kind: 'fixed', ms: ms(digest.window) }
  if ('sliding' in digest) return { kind: 'sliding', ms: ms(digest.sliding), atMostMs: ms(digest.atMost) }
  return { kind: 'scheduled', time: digest }
}

function ms(duration: string): number {
  return durationMs(duration) as number
}
