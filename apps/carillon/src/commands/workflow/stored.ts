import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import type { WorkflowDefinition } from '@carillon/contracts'
import type { CarillonClient } from '@carillon/sdk'
import type { CommandContext } from '../../cli.js'
import { openMeshFolder } from '../../mesh/folder.js'
import type { SourcePlaces, WorkflowSource } from '../../mesh/workflow-source.js'
import { ifThere } from '../../terminal/if-there.js'

/** A version as the edge has it. */
export interface StoredWorkflow {
  key: string
  version: number
  status: string
  createdAt: string
  definition: WorkflowDefinition
}

/** By key. */
export async function storedWorkflows(
  carillon: CarillonClient,
  status: 'published' | 'draft' | 'shadow',
): Promise<Map<string, StoredWorkflow>> {
  const { workflows } = await carillon.call<{ workflows: StoredWorkflow[] }>(
    'GET',
    `/v1/workflows?status=${status}`,
  )
  return new Map(workflows.map((workflow) => [workflow.key, workflow]))
}

export function saysTheSame(source: WorkflowSource, stored: StoredWorkflow | undefined): boolean {
  return stored !== undefined && isDeepStrictEqual(source.definition, stored.definition)
}

/** What `${WEBHOOK_URL}` stands for: WEBHOOK_URL, else the catcher of the mesh that runs in this folder. */
export async function webhookPlace(context: CommandContext): Promise<SourcePlaces> {
  const { WEBHOOK_URL: told, CARILLON_URL: elsewhere, CARILLON_DIR } = context.env
  if (told !== undefined) return { webhookUrl: told, sends: true }
  if (elsewhere !== undefined) return { sends: true }
  const folder = await openMeshFolder(context.base, CARILLON_DIR)
  const webhookUrl = await ifThere(readFile(folder.webhookUrl, 'utf8'))
  return { sends: true, ...(webhookUrl === undefined ? {} : { webhookUrl }) }
}
