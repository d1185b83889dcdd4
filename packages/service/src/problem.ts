import { ContractError, type Problem } from '@carillon/contracts'

/** Thrown anywhere in a route, it becomes an RFC 9457 answer. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly status: number
  readonly code: string
  readonly field: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly errors: Problem['errors']

  constructor(
    status: number,
    code: string,
    detail: string,
    options: {
      field?: string
      headers?: Record<string, string>
      errors?: Problem['errors']
      cause?: unknown
    } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = status
    this.code = code
    this.field = options.field
    this.headers = options.headers ?? {}
    this.errors = options.errors
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  406: 'Not acceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Unprocessable',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not available now',
}

/** The body of a problem answer. Details of our own failures stay in the log. */
export function problemBody(
  status: number,
  code: string,
  detail: string,
  more: { field?: string | undefined; correlationId?: string | undefined; errors?: Problem['errors'] } = {},
): Problem {
  return {
    type: `https://carillon.dev/problems/${code.toLowerCase().replaceAll('_', '-')}`,
    title: TITLES[status] ?? 'Error',
    status,
    code,
    detail,
    ...(more.field === undefined ? {} : { field: more.field }),
    ...(more.correlationId === undefined ? {} : { correlationId: more.correlationId }),
    ...(more.errors === undefined ? {} : { errors: more.errors }),
  }
}

interface FastifyLikeError {
  statusCode?: number
  code?: string
  message: string
  validation?: { instancePath?: string; message?: string; params?: Record<string, unknown> }[]
  validationContext?: string
}

/** Turns whatever a route threw into a problem: ours, the contract's, the framework's, or a 500 that says nothing. */
export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error
  if (error instanceof ContractError) {
    const status = error.code === 'EVENT_TOO_LARGE' ? 413 : 400
    return new HttpProblem(
      status,
      error.code,
      error.message,
      error.field === undefined ? {} : { field: error.field },
    )
  }
  const known = error as FastifyLikeError
  if (Array.isArray(known?.validation) && known.validation.length > 0) return validationProblem(known)
  const status = known?.statusCode
  if (status !== undefined && status >= 400 && status < 500) {
    return new HttpProblem(status, codeOf(status), known.message)
  }
  if (status === 503) {
    return new HttpProblem(503, 'OVERLOADED', 'Too much to do at this moment.', {
      headers: { 'retry-after': '1' },
    })
  }
  return new HttpProblem(
    500,
    'INTERNAL',
    'Something failed on our side. The correlation id finds it in the log.',
    {
      cause: error,
    },
  )
}

function validationProblem(error: FastifyLikeError): HttpProblem {
  const errors = (error.validation ?? []).map((entry) => {
    const unexpected = entry.params?.additionalProperty ?? entry.params?.missingProperty
    const path = (entry.instancePath ?? '').replace(/^\//, '').replaceAll('/', '.')
    const field = [path, typeof unexpected === 'string' ? unexpected : '']
      .filter((part) => part !== '')
      .join('.')
    return {
      field: field === '' ? (error.validationContext ?? 'body') : field,
      detail: entry.message ?? 'is not valid',
    }
  })
  const first = errors[0]
  return new HttpProblem(400, 'VALIDATION', `${first?.field ?? 'body'} ${first?.detail ?? 'is not valid'}.`, {
    ...(first === undefined ? {} : { field: first.field }),
    errors,
  })
}

function codeOf(status: number): string {
  return (TITLES[status] ?? 'Bad request').toUpperCase().replaceAll(' ', '_')
}
