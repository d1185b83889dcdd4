import type { Content, WorkflowDefinition } from '@carillon/contracts'
import { lockTenantRules, raiseEpoch } from './directory.js'
import type { Tx } from './tx.js'

/** Versions of workflows and templates: a published one never changes, a run keeps the one it began with. */

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
  return publishVersion(tx, { tenant, key: definition.key, content: JSON.stringify(definition) }, WORKFLOWS)
}

/** Publishes a template's texts by locale as the next version. */
export async function putTemplate(
  tx: Tx,
  template: { tenant: string; key: string; locales: Readonly<Record<string, Content>> },
): Promise<Published> {
  const { tenant, key, locales } = template
  return publishVersion(tx, { tenant, key, content: JSON.stringify(locales) }, TEMPLATES)
}

interface VersionStatements {
  latest: string
  retire: string
  insert: string
}

const WORKFLOWS: VersionStatements = {
  latest: `SELECT version, status = 'published' AND definition = $3::jsonb AS same FROM workflows
    WHERE tenant_id = $1 AND key = $2 ORDER BY version DESC LIMIT 1`,
  retire: `UPDATE workflows SET status = 'retired' WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
  insert: `INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, $3, $4)`,
}

const TEMPLATES: VersionStatements = {
  latest: `SELECT version, status = 'published' AND locales = $3::jsonb AS same FROM templates
    WHERE tenant_id = $1 AND key = $2 ORDER BY version DESC LIMIT 1`,
  retire: `UPDATE templates SET status = 'retired' WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
  insert: `INSERT INTO templates (tenant_id, key, version, locales) VALUES ($1, $2, $3, $4)`,
}

async function publishVersion(
  tx: Tx,
  what: { tenant: string; key: string; content: string },
  statements: VersionStatements,
): Promise<Published> {
  const { tenant, key, content } = what
  await lockTenantRules(tx, tenant)
  const { rows } = await tx.query<{ version: number; same: boolean }>({
    text: statements.latest,
    values: [tenant, key, content],
  })
  const latest = rows[0]
  if (latest?.same === true) return { version: latest.version, changed: false }
  const version = (latest?.version ?? 0) + 1
  await tx.query({ text: statements.retire, values: [tenant, key] })
  await tx.query({ text: statements.insert, values: [tenant, key, version, content] })
  await raiseEpoch(tx, tenant)
  return { version, changed: true }
}

/** Takes a workflow off: nothing starts it any more. Its versions stay, since runs and explanations name them. */
export async function retireWorkflow(tx: Tx, workflow: { tenant: string; key: string }): Promise<boolean> {
  await lockTenantRules(tx, workflow.tenant)
  const { rowCount } = await tx.query({ text: WORKFLOWS.retire, values: [workflow.tenant, workflow.key] })
  if (rowCount > 0) await raiseEpoch(tx, workflow.tenant)
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

export interface TemplateRecord extends VersionRecord {
  locales: Record<string, Content>
}

const TEMPLATE = 'key, version, status, locales, created_at AS "createdAt"'

/** Published templates by key. */
export async function listTemplates(tx: Tx, tenant: string): Promise<TemplateRecord[]> {
  const { rows } = await tx.query<TemplateRecord>({
    text: `SELECT ${TEMPLATE} FROM templates WHERE tenant_id = $1 AND status = 'published' ORDER BY key`,
    values: [tenant],
  })
  return rows
}

export async function findTemplate(
  tx: Tx,
  template: { tenant: string; key: string },
): Promise<TemplateRecord | undefined> {
  const { rows } = await tx.query<TemplateRecord>({
    text: `SELECT ${TEMPLATE} FROM templates WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
    values: [template.tenant, template.key],
  })
  return rows[0]
}
