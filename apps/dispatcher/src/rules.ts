import {
  type CompiledWorkflow,
  CompileError,
  compileWorkflow,
  createMatcher,
  type Matcher,
  RenderError,
  type Templates,
  validateWorkflow,
} from '@carillon/decisions'
import { loadTenantRules, loadWorkflowVersion, type TenantRow, type Tx } from '@carillon/postgres'

/** What a tenant has decided once for all its events: compiled workflows, categories, defaults. */
export interface TenantRules {
  tenant: string
  locale: string
  match: Matcher
  workflows: ReadonlyMap<string, CompiledWorkflow>
  categories: ReadonlyMap<string, Category>
  defaults: readonly Preference[]
}

export interface Category {
  key: string
  name: string
  critical: boolean
  defaults: Record<string, boolean>
}

export interface Preference {
  category: string | null
  channel: string | null
  enabled: boolean
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
  onLoaded: (tenant: string, workflows: number, broken: readonly string[]) => void,
): RulesCache {
  const current = new Map<string, { epoch: number; rules: TenantRules; templates: Templates }>()
  const versions = new Map<string, CompiledWorkflow>()
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
        const templates = templatesOf(loaded)
        const { rules, broken } = compileRules(tenant, loaded, templates)
        current.set(tenant.id, { epoch: tenant.epoch, rules, templates })
        onLoaded(tenant.id, rules.workflows.size, broken)
        found.set(tenant.id, rules)
      }
      return found
    },
    async version(tx, workflow) {
      const name = `${workflow.tenant} ${workflow.key} ${workflow.version}`
      const known = versions.get(name)
      if (known !== undefined) return known
      const compiled = compile(
        await loadWorkflowVersion(tx, workflow),
        workflow.version,
        current.get(workflow.tenant)?.templates ?? {},
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
  templates: Templates,
): { rules: TenantRules; broken: string[] } {
  const workflows = new Map<string, CompiledWorkflow>()
  const broken: string[] = []
  for (const { key, version, definition } of loaded.workflows) {
    const compiled = compile(definition, version, templates)
    if (compiled === undefined) broken.push(`${key}@${version}`)
    else workflows.set(key, compiled)
  }
  const rules: TenantRules = {
    tenant: tenant.id,
    locale: tenant.locale,
    match: createMatcher([...workflows.values()]),
    workflows,
    categories: new Map(loaded.categories.map((category) => [category.key, category])),
    defaults: loaded.defaults,
  }
  return { rules, broken }
}

type LoadedRules = Awaited<ReturnType<typeof loadTenantRules>>

function templatesOf(loaded: LoadedRules): Templates {
  return Object.fromEntries(loaded.templates.map(({ key, locales }) => [key, locales as Templates[string]]))
}

/** Undefined for a definition that doesn't work any more: a template that is gone, a rule that became stricter. */
function compile(definition: unknown, version: number, templates: Templates): CompiledWorkflow | undefined {
  const checked = validateWorkflow(definition)
  if (!checked.ok) return undefined
  try {
    return compileWorkflow(checked.definition, { version, templates })
  } catch (error) {
    if (error instanceof CompileError || error instanceof RenderError) return undefined
    throw error
  }
}
