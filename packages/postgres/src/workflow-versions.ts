import type { WorkflowDefinition } from '@carillon/contracts'
import type { Tx } from './tx.js'

/** Reads versions of workflows: what is in force, what was, and what is being prepared. */

export interface WorkflowKey {
  tenant: string
  key: string
}

export type WorkflowStatus = 'draft' | 'published' | 'shadow' | 'retired'

export interface WorkflowRecord {
  key: string
  version: number
  status: WorkflowStatus
  createdAt: Date
  definition: WorkflowDefinition
}

/** One stretch of time in which a version was in force. */
export interface PublicationInterval {
  from: Date
  /** null: it still is. */
  to: Date | null
}

export interface WorkflowVersionRecord {
  key: string
  version: number
  status: WorkflowStatus
  createdAt: Date
  /** Oldest first; several when it was rolled back to. */
  publications: PublicationInterval[]
}

/** A version and what it says. */
export interface WorkflowInForce {
  key: string
  version: number
  definition: WorkflowDefinition
}

const WORKFLOW = 'key, version, status, definition, created_at AS "createdAt"'

/** Workflows in one status by key, published unless said. */
export async function listWorkflows(
  tx: Tx,
  tenant: string,
  status: Exclude<WorkflowStatus, 'retired'> = 'published',
): Promise<WorkflowRecord[]> {
  const { rows } = await tx.query<WorkflowRecord>({
    text: `SELECT ${WORKFLOW} FROM workflows WHERE tenant_id = $1 AND status = $2 ORDER BY key`,
    values: [tenant, status],
  })
  return rows
}

/** One version by number, or the one that has a status now; the published one unless said. */
export async function findWorkflow(
  tx: Tx,
  workflow: WorkflowKey & { version?: number | Exclude<WorkflowStatus, 'retired'> | undefined },
): Promise<WorkflowRecord | undefined> {
  const { tenant, key, version = 'published' } = workflow
  const { rows } = await tx.query<WorkflowRecord>({
    text: `SELECT ${WORKFLOW} FROM workflows WHERE tenant_id = $1 AND key = $2
      AND CASE WHEN $3::int IS NULL THEN status = $4 ELSE version = $3 END`,
    values: [tenant, key, ...(typeof version === 'number' ? [version, ''] : [null, version])],
  })
  return rows[0]
}

/** True when something starts this workflow when it is triggered. */
export async function isPublished(tx: Tx, workflow: WorkflowKey): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `SELECT FROM workflows WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
    values: [workflow.tenant, workflow.key],
    name: 'edge-is-published',
  })
  return rowCount === 1
}

/** Newest first, with the times in which each was in force. */
export async function listWorkflowVersions(tx: Tx, workflow: WorkflowKey): Promise<WorkflowVersionRecord[]> {
  const { rows } = await tx.query<
    Omit<WorkflowVersionRecord, 'publications'> & { publications: { from: string; to: string | null }[] }
  >({
    text: `SELECT w.key, w.version, w.status, w.created_at AS "createdAt",
        (SELECT coalesce(json_agg(json_build_object('from', published_at, 'to', retired_at) ORDER BY published_at), '[]')
          FROM publications p WHERE p.tenant_id = w.tenant_id AND p.key = w.key AND p.version = w.version) AS publications
      FROM workflows w WHERE w.tenant_id = $1 AND w.key = $2 ORDER BY w.version DESC`,
    values: [workflow.tenant, workflow.key],
  })
  return rows.map((row) => ({
    ...row,
    publications: row.publications.map(({ from, to }) => ({
      from: new Date(from),
      to: to === null ? null : new Date(to),
    })),
  }))
}

/**
 * The versions that were published at a moment, by key. A dispatcher learns of a change with its next batch, so an
 * event of the same second may still have met the version before.
 */
export async function workflowsInForce(
  tx: Tx,
  { tenant, at }: { tenant: string; at: Date },
): Promise<WorkflowInForce[]> {
  const { rows } = await tx.query<WorkflowInForce>({
    text: `SELECT w.key, w.version, w.definition
      FROM publications p JOIN workflows w USING (tenant_id, key, version)
      WHERE p.tenant_id = $1 AND p.published_at <= $2 AND (p.retired_at > $2 OR p.retired_at IS NULL) ORDER BY w.key`,
    values: [tenant, at],
  })
  return rows
}
