/** What texts see. A null is as good as nothing: `{{ user.name }}` of somebody without a name is a missing variable. */
export interface TextScope {
  data: unknown
  user: {
    id: string
    name: string | null
    email: string | null
    locale: string
    timezone: string | null
    roles?: readonly string[]
    attributes?: Readonly<Record<string, unknown>>
  }
  event: { id: string; type: string; source: string; subject: string | null; time: string | null }
  /** Only in runs that went through a digest step. */
  digest?: DigestScope
  /** Only in texts of mails. */
  unsubscribe?: { url: string }
}

export interface DigestScope {
  /** What they have in common; null when all go together. */
  key?: string | null
  /** How many `items` there are. */
  count: number
  /** How many were gathered; more than `count` when not all of them are shown. */
  total: number
  /** Data of the events, oldest first. */
  items: readonly unknown[]
  first: unknown
  last: unknown
}

/** Names under each root; undefined: whatever the event brings. */
export const ROOTS: Readonly<Record<string, readonly string[] | undefined>> = {
  data: undefined,
  user: ['id', 'name', 'email', 'locale', 'timezone', 'roles', 'attributes'],
  event: ['id', 'type', 'source', 'subject', 'time'],
  digest: ['key', 'count', 'total', 'items', 'first', 'last'],
  unsubscribe: ['url'],
}

/** Leaves nulls out of a scope, so that strictness sees them. Data is gone through once an event, not once a reader. */
export function createNullRemover(): (scope: TextScope) => object {
  const seen = new WeakMap<object, unknown>()
  const once = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    let known = seen.get(value)
    if (known === undefined) {
      known = withoutNull(value, 0)
      seen.set(value, known)
    }
    return known
  }
  return ({ data, user, event, digest, unsubscribe }) => {
    const scope: Record<string, unknown> = {
      data: once(data) ?? undefined,
      user: withoutNull(user, 0),
      event: withoutNull(event, 0),
    }
    if (digest !== undefined) scope.digest = once(digest)
    if (unsubscribe !== undefined) scope.unsubscribe = unsubscribe
    return scope
  }
}

/** Deeper than any event may nest. */
const MAX_DEPTH = 200

/** The value itself when it holds no null; list entries stay, since leaving one out would move the others. */
function withoutNull(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined
    for (let index = 0; index < value.length; index++) {
      const part = withoutNull(value[index], depth + 1)
      if (part === value[index]) continue
      copy ??= [...value]
      copy[index] = part
    }
    return copy ?? value
  }
  const record = value as Record<string, unknown>
  let copy: Record<string, unknown> | undefined
  for (const name in record) {
    const part = withoutNull(record[name], depth + 1)
    if (part !== null && part === record[name]) continue
    copy ??= Object.assign(Object.create(null), record) as Record<string, unknown>
    if (part === null) delete copy[name]
    else copy[name] = part
  }
  return copy ?? value
}
