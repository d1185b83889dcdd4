import { api } from '../api.js'
import type { Wire } from '../connection.js'
import type { Settings } from './settings.js'

export interface ActualStream {
  config: Settings
  consumers: Map<string, Settings>
}

interface Page {
  total: number
  offset: number
  limit: number
}

/** Every stream of the account and every durable on it, as the server has them now. */
export async function readServerState(wire: Wire): Promise<Map<string, ActualStream>> {
  const found = new Map<string, ActualStream>()
  for await (const { config } of pages<{ config: Settings }>(wire, 'STREAM.LIST', 'streams')) {
    const consumers = new Map<string, Settings>()
    const name = String(config.name)
    type Info = { name: string; config: Settings }
    for await (const info of pages<Info>(wire, `CONSUMER.LIST.${name}`, 'consumers')) {
      if (typeof info.config.durable_name === 'string') consumers.set(info.name, info.config)
    }
    found.set(name, { config, consumers })
  }
  return found
}

async function* pages<T>(wire: Wire, operation: string, field: string): AsyncGenerator<T> {
  for (let offset = 0; ; ) {
    const page = await api<Page & Record<string, T[] | null>>(wire, operation, { offset })
    const items = (page[field] as T[] | null | undefined) ?? []
    yield* items
    offset += items.length
    if (items.length === 0 || offset >= page.total) return
  }
}
