import {
  awaitedBy,
  type CompiledWorkflow,
  CompileError,
  type Conditions,
  compileWorkflow,
  createCelCompiler,
  createMatcher,
  createWorkflowValidator,
  type Expression,
  type Facts,
  type Matcher,
  type Preference,
  type QuietHours,
  quietHoursOf,
  RenderError,
  type Templates,
  type TenantCap,
  templatesOf,
} from '@carillon/decisions'
import { loadTenantRules, loadWorkflowVersion, type TenantRow, type Tx } from '@carillon/postgres'

/** What a tenant has decided once for all its events: compiled workflows, categories, defaults. */
export interface TenantRules {
  tenant: string
  locale: string
  timezone: string
  match: Matcher
  workflows: ReadonlyMap<string, CompiledWorkflow>
  /** Judged beside the published ones of the same keys, without sending. */
  shadows: ReadonlyMap<string, CompiledWorkflow>
  matchShadows: Matcher
  categories: ReadonlyMap<string, NonNullable<Facts['category']>>
  defaults: readonly Preference[]
  quietHours: QuietHours | null
  caps: readonly TenantCap[]
  /** By event type: the ways in which those who wait for it tell its key. */
  awaited: ReadonlyMap<string, readonly { expression: string; key: Expression }[]>
}

/** Rules of the tenants of a batch, compiled once per epoch of each tenant. */
export interface RulesCache {
  forTenants(tx: Tx, tenants: readonly TenantRow[]): Promise<Map<string, TenantRules>>
  /** A version that a waiting run began with, published or not, with the templates of now. Undefined when it no longer
   * exists or compiles. */
  version(
    tx: Tx,
    workflow: { tenant: string; key: string; version: number },
  ): Promise<CompiledWorkflow | undefined>
}

/** Most old versions kept compiled; waiting runs rarely need more at a time. */
const KEPT_VERSIONS = 500

/** @param onLoaded told of every load, with the keys of workflows that don't compile and are left out */
export function createRulesCache(
  conditions: Conditions,
  onLoaded: (tenant: string, workflows: number, broken: readonly string[]) => void,
): RulesCache {
  const current = new Map<string, { epoch: number; rules: TenantRules; templates: Templates }>()
  const versions = new Map<string, CompiledWorkflow>()
  const compile = createWorkflowCompiler()
  return {
    async forTenants(tx, tenants) {
      const found = new Map<string, TenantRules>()
      for (const tenant of tenants) {
        const known = current.get(tenant.id)
        if (known?.epoch === tenant.epoch) {
          found.set(tenant.id, known.rules)
          continue
        }
        const loaded = await loadTenantRules(tx, tenant.id)
        const templates = templatesOf(loaded.templates)
        const { rules, broken } = compileRules(tenant, loaded, { templates, compile, conditions })
        current.set(tenant.id, { epoch: tenant.epoch, rules, templates })
        onLoaded(tenant.id, rules.workflows.size, broken)
        found.set(tenant.id, rules)
      }
      return found
    },
    async version(tx, workflow) {
      const present = current.get(workflow.tenant)
      // templates change with the epoch
      const name = `${workflow.tenant} ${present?.epoch} ${workflow.key} ${workflow.version}`
      const known = versions.get(name)
      if (known !== undefined) return known
      const compiled = compile(
        await loadWorkflowVersion(tx, workflow),
        workflow.version,
        present?.templates ?? {},
      )
      if (compiled === undefined) return undefined
      if (versions.size >= KEPT_VERSIONS) versions.delete(versions.keys().next().value as string)
      versions.set(name, compiled)
      return compiled
    },
  }
}

function compileRules(
  tenant: TenantRow,
  loaded: LoadedRules,
  {
    templates,
    compile,
    conditions,
  }: { templates: Templates; compile: WorkflowCompiler; conditions: Conditions },
): { rules: TenantRules; broken: string[] } {
  const broken: string[] = []
  const compileAll = (stored: LoadedRules['workflows']): Map<string, CompiledWorkflow> => {
    const all = new Map<string, CompiledWorkflow>()
    for (const { key, version, definition } of stored) {
      const compiled = compile(definition, version, templates)
      if (compiled === undefined) broken.push(`${key}@${version}`)
      else all.set(key, compiled)
    }
    return all
  }
  const workflows = compileAll(loaded.workflows)
  const shadows = compileAll(loaded.shadows)
  const rules: TenantRules = {
    tenant: tenant.id,
    locale: tenant.locale,
    timezone: tenant.timezone,
    match: createMatcher([...workflows.values()]),
    workflows,
    shadows,
    matchShadows: createMatcher([...shadows.values()]),
    categories: new Map(loaded.categories.map((category) => [category.key, category])),
    defaults: loaded.defaults.map((row) => conditions.preferenceOf(row)),
    quietHours: loaded.quietHours === null ? null : quietHoursOf(loaded.quietHours, 'tenant'),
    caps: loaded.caps,
    awaited: compileAwaited(loaded.awaited, workflows.values()),
  }
  return { rules, broken }
}

/** What the versions of now wait for, and what runs of earlier ones may still. */
function compileAwaited(
  stored: LoadedRules['awaited'],
  workflows: Iterable<CompiledWorkflow>,
): TenantRules['awaited'] {
  const all = [...stored, ...[...workflows].flatMap(({ definition }) => awaitedBy(definition))]
  const cel = createCelCompiler()
  const awaited = new Map<string, Map<string, Expression>>()
  for (const { type, expression } of all) {
    const compiled = cel.compile(expression)
    const ways = awaited.get(type) ?? new Map<string, Expression>()
    awaited.set(type, ways)
    if (compiled.ok) ways.set(expression, compiled.expression)
  }
  return new Map(
    [...awaited].map(([type, ways]) => [type, [...ways].map(([expression, key]) => ({ expression, key }))]),
  )
}

type LoadedRules = Awaited<ReturnType<typeof loadTenantRules>>

/** Gives undefined for a definition that doesn't work any more: a template that is gone, a rule that became stricter. */
type WorkflowCompiler = (
  definition: unknown,
  version: number,
  templates: Partial<Templates>,
) => CompiledWorkflow | undefined

function createWorkflowCompiler(): WorkflowCompiler {
  const validate = createWorkflowValidator()
  return (definition, version, templates) => {
    const checked = validate(definition)
    if (!checked.ok) return undefined
    try {
      return compileWorkflow(checked.definition, { version, templates })
    } catch (error) {
      if (error instanceof CompileError || error instanceof RenderError) return undefined
      throw error
    }
  }
}
