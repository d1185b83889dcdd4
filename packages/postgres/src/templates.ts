import type { Content, LayoutDocument, PartialDocument, TemplateKind } from '@carillon/contracts'
import { lockTenantRules, raiseEpoch } from './directory.js'
import type { Tx } from './tx.js'
import type { Published, VersionRecord } from './workflows.js'

/** Versions of templates: a published one never changes. Drafts do, until they are published. */

export type TemplateRecord = VersionRecord &
  (
    | { kind: 'content'; locales: Record<string, Content> }
    | { kind: 'partial'; locales: Record<string, PartialDocument> }
    | { kind: 'layout'; locales: Record<string, LayoutDocument> }
  )

export interface TemplateKey {
  tenant: string
  key: string
}

/** A key keeps the kind that it began with, since texts name it as such. */
export class TemplateKindFixed extends Error {
  override readonly name = 'TemplateKindFixed'
  readonly code = 'TEMPLATE_KIND_FIXED'
  readonly kind: TemplateKind

  constructor(key: string, kind: TemplateKind) {
    super(`"${key}" is a ${kind} already.`)
    this.kind = kind
  }
}

/**
 * Stores texts by locale as the next version, published at once unless it is a draft. A draft takes the place of the
 * draft that is the newest version. What is the newest version already changes nothing. The texts must have been checked.
 * @throws TemplateKindFixed
 */
export async function putTemplate(
  tx: Tx,
  template: TemplateKey & { kind?: TemplateKind; locales: Readonly<Record<string, object>>; draft?: boolean },
): Promise<Published> {
  const { tenant, key, kind = 'content', draft = false } = template
  const locales = JSON.stringify(template.locales)
  await lockTenantRules(tx, tenant)
  const latest = await latestVersion(tx, { tenant, key, locales })
  if (latest !== undefined && latest.kind !== kind) throw new TemplateKindFixed(key, latest.kind)
  if (latest?.same === true && (draft || latest.status === 'published')) {
    return { version: latest.version, changed: false }
  }
  if (draft && latest?.status === 'draft') {
    await tx.query({
      text: `UPDATE templates SET locales = $4, created_at = now()
        WHERE tenant_id = $1 AND key = $2 AND version = $3 AND status = 'draft'`,
      values: [tenant, key, latest.version, locales],
    })
    return { version: latest.version, changed: true }
  }
  const version = (latest?.version ?? 0) + 1
  await tx.query({
    text: `INSERT INTO templates (tenant_id, key, version, kind, locales, status) VALUES ($1, $2, $3, $4, $5, 'draft')`,
    values: [tenant, key, version, kind, locales],
  })
  return draft ? { version, changed: true } : makePublished(tx, { tenant, key, version })
}

/**
 * Puts a version in force: a draft, or an older one again. Undefined when there is no such version.
 */
export async function publishTemplate(
  tx: Tx,
  template: TemplateKey & { version: number },
): Promise<Published | undefined> {
  await lockTenantRules(tx, template.tenant)
  const found = await findTemplate(tx, template)
  if (found === undefined) return undefined
  if (found.status === 'published') return { version: found.version, changed: false }
  return makePublished(tx, template)
}

async function makePublished(
  tx: Tx,
  { tenant, key, version }: TemplateKey & { version: number },
): Promise<Published> {
  await retire(tx, { tenant, key })
  await tx.query({
    text: `UPDATE templates SET status = 'published' WHERE tenant_id = $1 AND key = $2 AND version = $3`,
    values: [tenant, key, version],
  })
  await raiseEpoch(tx, tenant)
  return { version, changed: true }
}

/** Takes a template off. Its versions stay. Whoever asks has seen to it that no workflow needs it. */
export async function retireTemplate(tx: Tx, template: TemplateKey): Promise<boolean> {
  await lockTenantRules(tx, template.tenant)
  const retired = await retire(tx, template)
  if (retired) await raiseEpoch(tx, template.tenant)
  return retired
}

async function retire(tx: Tx, { tenant, key }: TemplateKey): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `UPDATE templates SET status = 'retired' WHERE tenant_id = $1 AND key = $2 AND status = 'published'`,
    values: [tenant, key],
  })
  return rowCount > 0
}

async function latestVersion(
  tx: Tx,
  { tenant, key, locales }: TemplateKey & { locales: string },
): Promise<(Pick<TemplateRecord, 'version' | 'status' | 'kind'> & { same: boolean }) | undefined> {
  const { rows } = await tx.query<Pick<TemplateRecord, 'version' | 'status' | 'kind'> & { same: boolean }>({
    text: `SELECT version, status, kind, locales = $3::jsonb AS same FROM templates
      WHERE tenant_id = $1 AND key = $2 ORDER BY version DESC LIMIT 1`,
    values: [tenant, key, locales],
  })
  return rows[0]
}

const TEMPLATE = 'key, kind, version, status, locales, created_at AS "createdAt"'

/** Templates of all kinds in one status, by key. */
export async function listTemplates(
  tx: Tx,
  tenant: string,
  status: TemplateRecord['status'] = 'published',
): Promise<TemplateRecord[]> {
  const { rows } = await tx.query<TemplateRecord>({
    text: `SELECT ${TEMPLATE} FROM templates WHERE tenant_id = $1 AND status = $2 ORDER BY key, version`,
    values: [tenant, status],
  })
  return rows
}

/** The published version, or the one asked for. */
export async function findTemplate(
  tx: Tx,
  template: TemplateKey & { version?: number | undefined },
): Promise<TemplateRecord | undefined> {
  const { rows } = await tx.query<TemplateRecord>({
    text: `SELECT ${TEMPLATE} FROM templates WHERE tenant_id = $1 AND key = $2
      AND CASE WHEN $3::int IS NULL THEN status = 'published' ELSE version = $3 END`,
    values: [template.tenant, template.key, template.version],
  })
  return rows[0]
}

/** Newest first, without the texts. */
export async function listTemplateVersions(
  tx: Tx,
  template: TemplateKey,
): Promise<(VersionRecord & { kind: TemplateKind })[]> {
  const { rows } = await tx.query<VersionRecord & { kind: TemplateKind }>({
    text: `SELECT key, kind, version, status, created_at AS "createdAt" FROM templates
      WHERE tenant_id = $1 AND key = $2 ORDER BY version DESC`,
    values: [template.tenant, template.key],
  })
  return rows
}
