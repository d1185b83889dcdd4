import { parse } from 'yaml'
import { TopologyError } from '../errors.js'
import { CONSUMER_SETTINGS, type Settings, STREAM_SETTINGS } from './settings.js'

/** Marks what we made and may delete. */
export const OWNER_METADATA = 'carillon.managed'

export interface ConsumerSpec {
  name: string
  /** Complete configuration as the server's API takes it. */
  config: Settings
}

export interface StreamSpec {
  name: string
  /** Complete configuration as the server's API takes it. */
  config: Settings
  consumers: ConsumerSpec[]
}

export interface Topology {
  streams: StreamSpec[]
}

type Record_ = Record<string, unknown>

const NAME = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Reads topology.yaml and the overlays of an environment; later ones win, a stream's own settings win over defaults.
 * @throws TopologyError `INVALID` with every problem found
 */
export function loadTopology(text: string, overlays: readonly string[] = []): Topology {
  const problems: string[] = []
  const documents = [text, ...overlays].map((source, index) =>
    readDocument(source, index === 0 ? 'topology' : `overlay ${index}`, problems),
  )
  const base = documents[0] ?? {}
  for (const [index, overlay] of documents.slice(1).entries()) {
    for (const name of Object.keys(section(overlay, 'streams'))) {
      if (!(name in section(base, 'streams'))) {
        problems.push(`overlay ${index + 1}: there is no stream ${name} in the topology.`)
      }
    }
  }
  const streams = Object.keys(section(base, 'streams')).map((name) => readStream(name, documents, problems))
  if (streams.length === 0 && problems.length === 0) problems.push('topology: "streams" names no stream.')
  if (problems.length > 0) throw new TopologyError('INVALID', problems)
  return { streams }
}

function readDocument(source: string, name: string, problems: string[]): Record_ {
  try {
    const value: unknown = parse(source, { merge: true })
    if (isRecord(value)) {
      for (const key of Object.keys(value)) {
        if (key !== 'defaults' && key !== 'streams') problems.push(`${name}: "${key}" is not known here.`)
      }
      return value
    }
    problems.push(`${name}: the file must hold "defaults" and "streams".`)
  } catch (error) {
    problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
  return {}
}

function readStream(name: string, documents: readonly Record_[], problems: string[]): StreamSpec {
  if (!NAME.test(name)) problems.push(`streams.${name}: a stream's name has letters, digits, "_" and "-".`)
  const said = documents.map((document) => section(section(document, 'streams'), name))
  const defaults = documents.map((document) => section(section(document, 'defaults'), 'stream'))
  const { consumers: _, ...fields } = Object.assign({}, ...defaults, ...said) as Record_
  const config = readSettings(fields, STREAM_SETTINGS, `streams.${name}`, problems)
  if (!('subjects' in fields)) problems.push(`streams.${name}: "subjects" is missing.`)
  const names = new Set(said.flatMap((stream) => Object.keys(section(stream, 'consumers'))))
  const consumers = [...names].map((consumer) => {
    if (!NAME.test(consumer))
      problems.push(`streams.${name}.consumers.${consumer}: not a name for a durable.`)
    const layers = [
      ...documents.map((document) => section(section(document, 'defaults'), 'consumer')),
      ...said.map((stream) => section(section(stream, 'consumers'), consumer)),
    ]
    const path = `streams.${name}.consumers.${consumer}`
    const settings = readSettings(Object.assign({}, ...layers), CONSUMER_SETTINGS, path, problems)
    return {
      name: consumer,
      config: { durable_name: consumer, name: consumer, ack_policy: 'explicit', ...settings, ...owned() },
    }
  })
  return { name, config: { name, ...config, ...owned() }, consumers }
}

function owned(): Settings {
  return { metadata: { [OWNER_METADATA]: 'true' } }
}

function readSettings(
  fields: Record_,
  rules: typeof STREAM_SETTINGS,
  path: string,
  problems: string[],
): Settings {
  const settings: Settings = {}
  for (const [field, value] of Object.entries(fields)) {
    const rule = rules[field]
    if (rule === undefined) {
      problems.push(`${path}.${field} is not a known setting.`)
      continue
    }
    const setting = rule.read(value)
    if (setting === undefined) problems.push(`${path}.${field} must be ${rule.expects}.`)
    else settings[rule.serverName ?? field] = setting
  }
  return settings
}

function section(record: Record_, name: string): Record_ {
  const value = record[name]
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Record_ {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
