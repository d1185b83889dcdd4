import type { WorkflowDefinition } from '@carillon/contracts'
import { lockTenantRules, raiseEpoch } from './directory.js'
import type { Tx } from './tx.js'

/** Versions of workflows: a published one never changes, a run keeps the one it began with. */

export interface VersionRecord {
  key: string
  version: number
  status: 'draft' | 'published' | 'retired'
  createdAt: Date
}

export interface WorkflowRecord extends VersionRecord {
  definition: WorkflowDefinition
}

/** What a publish did. The same content again makes no new version. */
export interface Published {
  version: number
  changed: boolean
}

/**
 * Publishes a definition as the next version and tells dispatchers. The definition must have been validated.
 * Publishing what is published already changes nothing.
 */
export async function putWorkflow(
  tx: Tx,
  workflow: { tenant: string; definition: WorkflowDefinition },
): Promise<Published> {
  const { tenant, definition } = workflow
  const { key } = definition
  const content = JSON.stringify(definition)
  await lockTenantRules(tx, tenant)
  const { rows } = await tx.query<{ version: number; same: boolean }>({
    text: `SELECT version, status = 'published' AND definition = $3::jsonb AS same FROM workflows
      WHERE tenant_id = $1 AND key = $2 ORDER BY version DESC LIMIT 1`,
    values: [tenant, key, content],
  })
  const latest = rows[0]
  if (latest?.same === true) return { version: latest.version, changed: false }
  const version = (latest?.version ?? 0) + 1
  await retirePublished(tx, { tenant, key })
  await tx.query({
    text: 'INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, $3, $4)',
    values: [tenant, key, version, content],
  })
  await raiseEpoch(tx, tenant)
  return { version, changed: true }
}

/** Takes a workflow off: nothing starts it any more. Its versions stay, since runs and explanations name them. */
export async function retireWorkflow(tx: Tx, workflow: { tenant: string; key: string }): Promise<boolean> {
  await lockTenantRules(tx, workflow.tenant)
  const retired = await retirePublished(tx, workflow)
  if (retired) await raiseEpoch(tx, workflow.tenant)
  return retired
}

async function retirePublished(tx: Tx, workflow: { tenant: string; key: string }): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `UPDATE workflows SET status = 'retired' WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
    values: [workflow.tenant, workflow.key],
  })
  return rowCount > 0
}

const WORKFLOW = 'key, version, status, definition, created_at AS "createdAt"'

/** Published workflows by key. */
export async function listWorkflows(tx: Tx, tenant: string): Promise<WorkflowRecord[]> {
  const { rows } = await tx.query<WorkflowRecord>({
    text: `SELECT ${WORKFLOW} FROM workflows WHERE tenant_id = $1 AND status = 'published' ORDER BY key`,
    values: [tenant],
  })
  return rows
}

/** The published version, or the one asked for. */
export async function findWorkflow(
  tx: Tx,
  workflow: { tenant: string; key: string; version?: number | undefined },
): Promise<WorkflowRecord | undefined> {
  const { rows } = await tx.query<WorkflowRecord>({
    text: `SELECT ${WORKFLOW} FROM workflows WHERE tenant_id = $1 AND key = $2
      AND CASE WHEN $3::int IS NULL THEN status = 'published' ELSE version = $3 END`,
    values: [workflow.tenant, workflow.key, workflow.version],
  })
  return rows[0]
}

/** True when something starts this workflow when it is triggered. */
export async function isPublished(tx: Tx, workflow: { tenant: string; key: string }): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `SELECT FROM workflows WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
    values: [workflow.tenant, workflow.key],
    name: 'edge-is-published',
  })
  return rowCount === 1
}

/** Newest first. */
export async function listWorkflowVersions(
  tx: Tx,
  workflow: { tenant: string; key: string },
): Promise<VersionRecord[]> {
  const { rows } = await tx.query<VersionRecord>({
    text: `SELECT key, version, status, created_at AS "createdAt" FROM workflows
      WHERE tenant_id = $1 AND key = $2 ORDER BY version DESC`,
    values: [workflow.tenant, workflow.key],
  })
  return rows
}
