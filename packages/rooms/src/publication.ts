import { below } from './pointer.js'

/** Longest publication of a room, as JSON. */
export const MAX_PUBLICATION_BYTES = 32 * 1024
const MAX_DEPTH = 32

/** Why data can't be published: where, as a JSON pointer, and what. Says nothing of the data's values. */
export interface DataProblem {
  path: string
  message: string
}

/**
 * What holds for every publication: an object, nested no deeper than anybody needs, without the names through which
 * careless receivers change all their objects.
 */
export function checkData(data: unknown): DataProblem | undefined {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    return { path: '', message: 'must be an object' }
  }
  return checkMembers(data, '', 1)
}

function checkMembers(value: object, path: string, depth: number): DataProblem | undefined {
  if (depth > MAX_DEPTH) return { path, message: `may be nested ${MAX_DEPTH} levels deep` }
  for (const [name, member] of Object.entries(value)) {
    if (typeof member !== 'object' || member === null) {
      if (name === '__proto__') return { path: below(path, name), message: 'is a name that is not taken' }
      continue
    }
    if (name === '__proto__' || (name === 'constructor' && Object.hasOwn(member, 'prototype'))) {
      return { path: below(path, name), message: 'is a name that is not taken' }
    }
    const problem = checkMembers(member, below(path, name), depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}
