import type { Problem, RecipientInput } from '@carillon/contracts'
import { CarillonClientError } from './errors.js'
import { completeEvent, type EventInput } from './event.js'
import type { Published, Publisher } from './publisher.js'
import { DEFAULT_RETRY, type RetryPolicy, withRetry } from './retry.js'
import { type RoomCalls, roomCalls } from './rooms.js'

export interface HttpOptions {
  /** Address of Carillon's edge, like `https://carillon.example`. */
  url: string
  /** `ck_…` */
  apiKey: string
  /** CloudEvents source of this service, like `/services/rides`. */
  source: string
  timeoutMs?: number
  retry?: RetryPolicy
}

/** What a service may tell Carillon of one of its users. Absent fields stay as they are. */
export interface UserInput {
  email?: string
  phone?: string
  name?: string
  locale?: string
  timezone?: string
  roles?: string[]
  attributes?: Record<string, unknown>
}

/** Address of one installation of an app. */
export type DeviceInput = { app?: string; locale?: string } & (
  | { kind: 'fcm'; token: string }
  | { kind: 'apns'; token: string; environment?: 'production' | 'sandbox' }
  | { kind: 'webpush'; endpoint: string; p256dh: string; auth: string }
)

export interface PutWorkflowOptions {
  /** Default: published. */
  as?: 'published' | 'draft' | 'shadow'
  /** Version that is published now, 0 for none; when another one is, the call is refused with WORKFLOW_MOVED. */
  expect?: number
}

export interface WorkflowChange {
  key: string
  version: number
  /** False: it was there already. */
  changed: boolean
  /** Version that was in force before; null: none. */
  previous: number | null
}

/** A client for everything that services do with Carillon over HTTP. */
export interface CarillonClient extends Publisher, RoomCalls {
  /** Begins one workflow for the recipients given, known or identified inline. */
  trigger(
    workflow: string,
    body: { to: RecipientInput | RecipientInput[]; data?: unknown },
    options?: { idempotencyKey?: string },
  ): Promise<Published>
  putUser(id: string, user: UserInput): Promise<void>
  putDevice(userId: string, device: string, input: DeviceInput): Promise<void>
  /** Publishes a workflow, or keeps it as draft or shadow. The same content again makes no new version. */
  putWorkflow(text: string, key: string, options?: PutWorkflowOptions): Promise<WorkflowChange>
  /** Checks a workflow as publishing it would, and stores nothing. Rejects with every problem in `errors`. */
  validateWorkflow(text: string, options?: Pick<PutWorkflowOptions, 'as'>): Promise<void>
  /** Puts a version in force: a draft, a shadow, or any earlier one again. */
  publishWorkflow(
    key: string,
    version: number | 'draft' | 'shadow',
    options?: Pick<PutWorkflowOptions, 'expect'>,
  ): Promise<WorkflowChange>
  /** Any other call of the API; JSON in and out. */
  call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T>
}

/** Most events in one batch call. */
const BATCH = 1_000

/** JSON is YAML too. */
const YAML = { 'content-type': 'application/yaml' } as const

function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return given.length === 0 ? '' : `?${given.join('&')}`
}

/** Opens nothing: connections are made and kept by the runtime's fetch. */
export function connectHttp(options: HttpOptions): CarillonClient {
  const retry = options.retry ?? DEFAULT_RETRY
  const request = <T>(
    method: string,
    path: string,
    body: string | undefined,
    headers: Record<string, string>,
  ) => withRetry(() => send<T>(options, method, path, body, headers), transientAnswer, retry)
  const json = <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    request<T>(method, path, body === undefined ? undefined : JSON.stringify(body), {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    })
  return {
    async publish<T>(input: EventInput<T>) {
      const { event, lane } = completeEvent(input, options)
      await request('POST', '/v1/events', JSON.stringify(event), {
        'content-type': 'application/cloudevents+json',
        'carillon-lane': lane,
      })
      return { id: event.id, source: event.source }
    },
    async publishAll(inputs) {
      const complete = inputs.map((input) => completeEvent(input, options))
      for (const lane of new Set(complete.map((entry) => entry.lane))) {
        const events = complete.filter((entry) => entry.lane === lane).map((entry) => entry.event)
        for (let from = 0; from < events.length; from += BATCH) {
          await request('POST', '/v1/events', JSON.stringify(events.slice(from, from + BATCH)), {
            'content-type': 'application/cloudevents-batch+json',
            'carillon-lane': lane,
          })
        }
      }
      return complete.map(({ event }) => ({ id: event.id, source: event.source }))
    },
    trigger(workflow, body, more = {}) {
      return json('POST', `/v1/workflows/${encodeURIComponent(workflow)}/trigger`, body, {
        'idempotency-key': more.idempotencyKey ?? crypto.randomUUID(),
      })
    },
    async putUser(id, user) {
      await json('PUT', `/v1/users/${encodeURIComponent(id)}`, user)
    },
    async putDevice(userId, device, input) {
      await json(
        'PUT',
        `/v1/users/${encodeURIComponent(userId)}/devices/${encodeURIComponent(device)}`,
        input,
      )
    },
    putWorkflow(text, key, { as, expect } = {}) {
      return request('PUT', `/v1/workflows/${encodeURIComponent(key)}${query({ as, expect })}`, text, YAML)
    },
    async validateWorkflow(text, { as } = {}) {
      await request('POST', `/v1/workflows/validate${query({ as })}`, text, YAML)
    },
    publishWorkflow(key, version, { expect } = {}) {
      const path = `/v1/workflows/${encodeURIComponent(key)}/versions/${version}/publish`
      return request('POST', `${path}${query({ expect })}`, undefined, {})
    },
    ...roomCalls(json, isUnknown),
    call: json,
    async [Symbol.asyncDispose]() {
      // nothing of ours is open
    },
  }
}

async function send<T>(
  options: HttpOptions,
  method: string,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<T> {
  let answer: Response
  let text: string
  try {
    answer = await fetch(new URL(path, options.url), {
      method,
      headers: { authorization: `Bearer ${options.apiKey}`, accept: 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
      redirect: 'error',
      signal: AbortSignal.timeout(options.timeoutMs ?? 10_000),
    })
    // a connection that breaks within the body is as transient as one that never opened
    text = await answer.text()
  } catch (cause) {
    throw new CarillonClientError(
      'unavailable',
      'UNREACHABLE',
      `Carillon does not answer at ${options.url}.`,
      { cause },
    )
  }
  if (answer.ok) return (text === '' ? undefined : JSON.parse(text)) as T
  throw problemOf(answer, text)
}

function isUnknown(error: unknown): boolean {
  return error instanceof CarillonClientError && error.status === 404
}

class RetryableAnswer extends CarillonClientError {
  readonly afterMs: number

  constructor(code: string, message: string, status: number, afterMs: number) {
    super('unavailable', code, message, { status })
    this.afterMs = afterMs
  }
}

function problemOf(answer: Response, text: string): CarillonClientError {
  const problem = parseProblem(text)
  const code = problem?.code ?? `HTTP_${answer.status}`
  const message = problem?.detail ?? `Carillon answered ${answer.status}.`
  if (answer.status === 429 || answer.status >= 500) {
    const afterMs = Number(answer.headers.get('retry-after') ?? 0) * 1000
    return new RetryableAnswer(code, message, answer.status, Number.isFinite(afterMs) ? afterMs : 0)
  }
  const failure = answer.status === 401 || answer.status === 403 ? 'unauthorized' : 'refused'
  return new CarillonClientError(failure, code, message, {
    field: problem?.field,
    status: answer.status,
    errors: problem?.errors,
  })
}

function parseProblem(text: string): Partial<Problem> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Partial<Problem>) : undefined
  } catch {
    return undefined
  }
}

function transientAnswer(error: unknown): { afterMs?: number } | undefined {
  if (error instanceof RetryableAnswer) return { afterMs: error.afterMs }
  return error instanceof CarillonClientError && error.failure === 'unavailable' ? {} : undefined
}
