/** Commands of the client protocol that have a reply; `send` has none. */
export const METHODS = [
  'connect',
  'subscribe',
  'unsubscribe',
  'publish',
  'presence',
  'presence_stats',
  'history',
  'ping',
  'send',
  'rpc',
  'refresh',
  'sub_refresh',
] as const
export type Method = (typeof METHODS)[number]

export type Params = Readonly<Record<string, unknown>>

export type Command =
  /** An empty command: the answer to our ping. */
  | { kind: 'pong' }
  | { kind: 'call'; id: number; method: Method; params: Params }
  | { kind: 'send'; params: Params }
  /** A well-formed command with a method that the protocol doesn't know. */
  | { kind: 'unknown'; id: number }

/** Most commands that one message may carry: clients subscribe to all their channels in one. */
export const MAX_COMMANDS = 256

/** True for a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads one message: commands as JSON objects, one a line. Undefined when it is not that. */
export function parseCommands(text: string): Command[] | undefined {
  const lines = text.split('\n').filter((line) => line !== '')
  if (lines.length === 0 || lines.length > MAX_COMMANDS) return undefined
  const commands: Command[] = []
  for (const line of lines) {
    const command = parseLine(line)
    if (command === undefined) return undefined
    commands.push(command)
  }
  return commands
}

function parseLine(line: string): Command | undefined {
  try {
    return commandOf(JSON.parse(line))
  } catch {
    return undefined
  }
}

/** A command as either encoding gives it: its id and one field named by the method. Undefined when it is not that. */
export function commandOf(value: unknown): Command | undefined {
  if (!isRecord(value)) return undefined
  const fields = Object.keys(value)
  if (fields.length === 0) return { kind: 'pong' }
  const id = value.id ?? 0
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 0xffff_ffff) return undefined
  for (const method of METHODS) {
    const params = value[method]
    if (params === undefined) continue
    if (!isRecord(params)) return undefined
    if (method === 'send') return { kind: 'send', params }
    return id === 0 ? undefined : { kind: 'call', id, method, params }
  }
  return id === 0 ? undefined : { kind: 'unknown', id }
}

/** What a client says of its position; undefined when it does not ask to be recovered. */
export function positionOf(params: Params): { epoch: string; offset: number } | undefined {
  if (params.recover !== true) return undefined
  return readPosition(params)
}

/** Epoch and offset as the protocol writes them: both may be absent when empty or 0. */
export function readPosition(params: Params): { epoch: string; offset: number } {
  const { epoch, offset } = params
  return {
    epoch: typeof epoch === 'string' ? epoch : '',
    offset: typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0 ? offset : 0,
  }
}
