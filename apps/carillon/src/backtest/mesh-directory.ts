import { type DomainEvent, userId } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  createPeople,
  type Group,
  type People,
  recipientsOf,
  type WrittenPerson,
  type WrittenTenant,
} from '@carillon/decisions'
import type { CarillonClient } from '@carillon/sdk'
import { sha256 } from '@carillon/service'

/** What a tenant has decided for all its people, as the edge tells it. */
export interface MeshRules extends WrittenTenant {
  tenant: string
  caps: { count: number; per: string }[]
  templates: { key: string; kind: 'content' | 'partial' | 'layout'; locales: unknown }[]
}

/** The people of a mesh, looked up in batches before they are needed. */
export interface MeshDirectory {
  /** People of the draft's and the published version's replay: both see the same, and each may identify on its own. */
  people: readonly [People, People]
  /** Looks up whoever these events may tell. */
  prepare(events: readonly DomainEvent[], workflows: readonly CompiledWorkflow[]): Promise<void>
  /** Groups that were too large to be looked up whole. */
  cut(): readonly string[]
}

const PEOPLE_AT_ONCE = 500

export function createMeshDirectory(carillon: Pick<CarillonClient, 'call'>, rules: MeshRules): MeshDirectory {
  const internalId = (externalId: string) => userId(sha256, rules.tenant, externalId)
  const people = [createPeople(rules, { internalId }), createPeople(rules, { internalId })] as const
  const asked = new Set<string>()
  const groups = new Set<string>()
  const cut: string[] = []

  const lookUp = async (ids: readonly string[]): Promise<void> => {
    const unknown = ids.filter((id) => !asked.has(id))
    for (let from = 0; from < unknown.length; from += PEOPLE_AT_ONCE) {
      const batch = unknown.slice(from, from + PEOPLE_AT_ONCE)
      const answer = await carillon.call<{ people: WrittenPerson[] }>('POST', '/v1/people/lookup', {
        ids: batch,
      })
      for (const person of answer.people) for (const side of people) side.put(person)
      for (const id of batch) asked.add(id)
    }
  }
  const lookUpGroup = async (group: Group): Promise<void> => {
    const wanted = askedAs(group)
    const name = JSON.stringify(wanted)
    if (groups.has(name)) return
    groups.add(name)
    const { ids, more } = await carillon.call<{ ids: string[]; more: boolean }>(
      'POST',
      '/v1/people/members',
      wanted,
    )
    if (more) cut.push(name)
    await lookUp(ids)
    if (group.kind !== 'topic') return
    for (const id of ids) for (const side of people) side.subscribe(group.topic, id)
  }
  return {
    people,
    cut: () => cut,
    async prepare(events, workflows) {
      const ids = new Set<string>()
      const wanted = new Map<string, Group>()
      for (const event of events) {
        for (const workflow of workflows) {
          const { users, groups: named } = recipientsOf(event, workflow)
          for (const user of users) ids.add(typeof user === 'string' ? user : user.id)
          for (const group of named) wanted.set(JSON.stringify(askedAs(group)), group)
        }
      }
      await lookUp([...ids])
      for (const group of wanted.values()) await lookUpGroup(group)
    },
  }
}

/** Segments are judged here, among everyone. */
function askedAs(group: Group): object {
  if (group.kind === 'role') return { role: group.role }
  if (group.kind === 'topic') return { topic: group.topic }
  return { everyone: true }
}
