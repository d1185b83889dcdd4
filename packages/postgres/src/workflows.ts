import type { WorkflowDefinition } from '@carillon/contracts'
import { lockTenantRules, raiseEpoch } from './directory.js'
import type { Tx } from './tx.js'
import { findWorkflow, type WorkflowKey, type WorkflowStatus } from './workflow-versions.js'

/**
 * Changes of workflows. What a version says never changes, a run keeps the one it began with; which version is in
 * force does, and `publications` keeps when. Everything here waits for the tenant's rules.
 */

export interface VersionRecord {
  key: string
  version: number
  status: 'draft' | 'published' | 'retired'
  createdAt: Date
}

/** What a publish did. The same content again makes no new version. */
export interface Published {
  version: number
  changed: boolean
}

export interface WorkflowChange extends Published {
  /** Version that was in force before; null: none. */
  previous: number | null
}

/** A type of event that some step waits for, and the CEL expression that tells its key. */
export interface AwaitedType {
  type: string
  expression: string
}

/** Somebody else has published since the caller looked. */
export class WorkflowMoved extends Error {
  override readonly name = 'WorkflowMoved'
  readonly code = 'WORKFLOW_MOVED'
  /** 0: nothing is published. */
  readonly published: number

  constructor(key: string, expected: number, published: number) {
    const thought = expected === 0 ? 'not to be published' : `to be published in version ${expected}`
    const now = published === 0 ? 'nothing is published' : `version ${published} is`
    super(`"${key}" was expected ${thought}, and ${now}.`)
    this.published = published
  }
}

interface Publishing {
  /** Steps of the definition that wait for events: dispatchers keep such events from then on. */
  awaits: readonly AwaitedType[]
  /** The version that the caller thinks is published; 0: none. Absent: whichever. */
  expect?: number | undefined
}

/**
 * Stores a definition that has been validated: in force at once, as the one draft of its key, or as the shadow that
 * is judged without sending. What is there already in that role changes nothing; a draft or shadow that says the same is
 * what is published, under its own number.
 * @throws WorkflowMoved
 */
export async function putWorkflow(
  tx: Tx,
  workflow: {
    tenant: string
    definition: WorkflowDefinition
    as?: 'published' | 'draft' | 'shadow'
  } & Publishing,
): Promise<WorkflowChange> {
  const { tenant, definition, as = 'published' } = workflow
  const at = { tenant, key: definition.key }
  const content = JSON.stringify(definition)
  await lockTenantRules(tx, tenant)
  const { latest, living } = await livingVersions(tx, at, content)
  const of = (status: WorkflowStatus) => living.find((version) => version.status === status)
  const previous = assertExpected(at.key, of('published')?.version, workflow.expect)
  const there = of(as) ?? (as === 'draft' ? of('published') : undefined)
  if (there?.same === true) return { version: there.version, changed: false, previous }
  const twin = as === 'draft' ? undefined : living.find(({ same, status }) => same && status !== 'published')
  const version = twin?.version ?? latest + 1
  if (twin === undefined) {
    if (as === 'draft') await retire(tx, at, 'draft')
    await tx.query({
      text: `INSERT INTO workflows (tenant_id, key, version, definition, status) VALUES ($1, $2, $3, $4, $5)`,
      values: [tenant, at.key, version, content, as === 'draft' ? 'draft' : 'retired'],
    })
  }
  if (as === 'published') await putInForce(tx, { ...at, version }, workflow.awaits)
  if (as === 'shadow') await putInShadow(tx, { ...at, version })
  return { version, changed: true, previous }
}

/**
 * Puts a version in force: a draft, a shadow, or any earlier one again. It keeps its number. The caller has checked
 * that it still works with what else is in force. Undefined when there is no such version.
 * @throws WorkflowMoved
 */
export async function publishVersion(
  tx: Tx,
  workflow: WorkflowKey & { version: number } & Publishing,
): Promise<WorkflowChange | undefined> {
  const { tenant, key, version } = workflow
  await lockTenantRules(tx, tenant)
  const wanted = await findWorkflow(tx, { tenant, key, version })
  if (wanted === undefined) return undefined
  const published = await findWorkflow(tx, { tenant, key })
  const previous = assertExpected(key, published?.version, workflow.expect)
  if (previous === version) return { version, changed: false, previous }
  await putInForce(tx, { tenant, key, version }, workflow.awaits)
  return { version, changed: true, previous }
}

/** Takes a workflow off, its shadow too: nothing starts it. Its versions stay, since runs and explanations name them. */
export async function retireWorkflow(tx: Tx, workflow: WorkflowKey): Promise<boolean> {
  await lockTenantRules(tx, workflow.tenant)
  const retired = await retire(tx, workflow, 'published')
  if (!retired) return false
  await retire(tx, workflow, 'shadow')
  await endPublication(tx, workflow, await nextMoment(tx, workflow))
  await raiseEpoch(tx, workflow.tenant)
  return true
}

/** Lets a version be judged beside the published one; it takes the place of another shadow. False: not there, or published. */
export async function setShadow(tx: Tx, workflow: WorkflowKey & { version: number }): Promise<boolean> {
  await lockTenantRules(tx, workflow.tenant)
  const found = await findWorkflow(tx, workflow)
  if (found === undefined || found.status === 'published') return false
  if (found.status !== 'shadow') await putInShadow(tx, workflow)
  return true
}

/** False when there is none. The version stays and can be published. */
export async function dropShadow(tx: Tx, workflow: WorkflowKey): Promise<boolean> {
  await lockTenantRules(tx, workflow.tenant)
  const dropped = await retire(tx, workflow, 'shadow')
  if (dropped) await raiseEpoch(tx, workflow.tenant)
  return dropped
}

function assertExpected(
  key: string,
  published: number | undefined,
  expect: number | undefined,
): number | null {
  if (expect !== undefined && expect !== (published ?? 0))
    throw new WorkflowMoved(key, expect, published ?? 0)
  return published ?? null
}

async function livingVersions(
  tx: Tx,
  { tenant, key }: WorkflowKey,
  content: string,
): Promise<{ latest: number; living: { version: number; status: WorkflowStatus; same: boolean }[] }> {
  const { rows } = await tx.query<{ version: number; status: WorkflowStatus; same: boolean; latest: number }>(
    {
      text: `WITH latest AS (SELECT max(version) AS latest FROM workflows WHERE tenant_id = $1 AND key = $2)
      SELECT version, status, definition = $3::jsonb AS same, latest FROM workflows, latest
      WHERE tenant_id = $1 AND key = $2 AND (status <> 'retired' OR version = latest)
      ORDER BY version DESC`,
      values: [tenant, key, content],
    },
  )
  return { latest: rows[0]?.latest ?? 0, living: rows.filter(({ status }) => status !== 'retired') }
}

async function putInForce(
  tx: Tx,
  { tenant, key, version }: WorkflowKey & { version: number },
  awaits: readonly AwaitedType[],
): Promise<void> {
  const at = await nextMoment(tx, { tenant, key })
  await retire(tx, { tenant, key }, 'published')
  await endPublication(tx, { tenant, key }, at)
  await setStatus(tx, { tenant, key, version }, 'published')
  await tx.query({
    text: 'INSERT INTO publications (tenant_id, key, version, published_at) VALUES ($1, $2, $3, $4::timestamptz)',
    values: [tenant, key, version, at],
  })
  if (awaits.length > 0) {
    await tx.query({
      text: `INSERT INTO awaited (tenant_id, type, expression) SELECT $1, * FROM unnest($2::text[], $3::text[])
        ORDER BY 2, 3 ON CONFLICT DO NOTHING`,
      values: [tenant, awaits.map(({ type }) => type), awaits.map(({ expression }) => expression)],
    })
  }
  await raiseEpoch(tx, tenant)
}

async function putInShadow(tx: Tx, workflow: WorkflowKey & { version: number }): Promise<void> {
  await retire(tx, workflow, 'shadow')
  await setStatus(tx, workflow, 'shadow')
  await raiseEpoch(tx, workflow.tenant)
}

async function setStatus(
  tx: Tx,
  { tenant, key, version }: WorkflowKey & { version: number },
  status: WorkflowStatus,
): Promise<void> {
  await tx.query({
    text: 'UPDATE workflows SET status = $4 WHERE tenant_id = $1 AND key = $2 AND version = $3',
    values: [tenant, key, version, status],
  })
}

async function retire(tx: Tx, { tenant, key }: WorkflowKey, status: WorkflowStatus): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `UPDATE workflows SET status = 'retired' WHERE tenant_id = $1 AND key = $2 AND status = $3`,
    values: [tenant, key, status],
  })
  return rowCount > 0
}

/**
 * The time now, as text with microseconds, after every publication of this key: a transaction that waited for another
 * began before it, so its own `now()` would overlap, and clocks go back.
 */
async function nextMoment(tx: Tx, { tenant, key }: WorkflowKey): Promise<string> {
  const { rows } = await tx.query<{ at: string }>({
    text: `SELECT greatest(clock_timestamp(), max(published_at) + interval '1 microsecond', max(retired_at))::text AS at
      FROM publications WHERE tenant_id = $1 AND key = $2`,
    values: [tenant, key],
  })
  return (rows[0] as { at: string }).at
}

async function endPublication(tx: Tx, { tenant, key }: WorkflowKey, at: string): Promise<void> {
  await tx.query({
    text: `UPDATE publications SET retired_at = $3::timestamptz
      WHERE tenant_id = $1 AND key = $2 AND retired_at IS NULL`,
    values: [tenant, key, at],
  })
}
