/** RFC 9457 problem details, with our stable code, the field and the correlation id. */
export interface Problem {
  type: string
  title: string
  status: number
  /** Stable; what clients branch on. */
  code: string
  detail: string
  /** The field that is wrong, when one is. */
  field?: string
  correlationId?: string
  /** All that is wrong with the body, when more than one thing is. */
  errors?: { field: string; detail: string }[]
}

/** Media type of every error answer. */
export const PROBLEM_TYPE = 'application/problem+json'
