import { MAX_EVENT_BYTES } from '@carillon/contracts'
import { HttpProblem, messageOf } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parse as parseYaml } from 'yaml'

/** Deepest nesting and most members of a JSON body: what parses fast can still be slow to work with. */
const MAX_DEPTH = 32
const MAX_MEMBERS = 20_000

/** A batch holds many events, each of which keeps the limit of one. */
const BATCH_BYTES = 1024 * 1024
const FORM_BYTES = 4096
/** A report may carry the whole mail that came back. */
const MAIL_BYTES = 10 * 1024 * 1024

/** Every media type that is read at all. Each route says which of them it takes. */
export const MEDIA = {
  json: 'application/json',
  event: 'application/cloudevents+json',
  events: 'application/cloudevents-batch+json',
  text: 'text/plain',
  yaml: 'application/yaml',
  form: 'application/x-www-form-urlencoded',
  multipart: 'multipart/form-data',
  mail: 'message/rfc822',
} as const
export const MEDIA_TYPES: readonly string[] = Object.values(MEDIA)

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came; undefined where it isn't read as text. */
    bodyText: string | undefined
  }
}

/**
 * Refuses text that nests deeper or has more members than anybody needs, before it is parsed. Only brackets and commas
 * outside of strings are counted.
 */
export function assertShape(text: string): void {
  let depth = 0
  let members = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 34) {
      for (index++; index < text.length; index++) {
        const inner = text.charCodeAt(index)
        if (inner === 92) index++
        else if (inner === 34) break
      }
    } else if (code === 123 || code === 91) {
      if (++depth > MAX_DEPTH) {
        throw new HttpProblem(400, 'JSON_TOO_DEEP', `JSON may be nested ${MAX_DEPTH} levels deep.`)
      }
    } else if (code === 125 || code === 93) depth--
    else if (code === 44 && ++members > MAX_MEMBERS) {
      throw new HttpProblem(400, 'JSON_TOO_LARGE', `A body may have ${MAX_MEMBERS} members.`)
    }
  }
}

/** Reads exactly the media types above; everything else is answered 415. */
export function addParsers(app: FastifyInstance): void {
  app.decorateRequest('bodyText', undefined)
  app.removeAllContentTypeParsers()
  // refuses __proto__ and constructor.prototype
  const parseJson = app.getDefaultJsonParser('error', 'error')
  const readJson = (
    request: FastifyRequest,
    text: string,
    done: (error: Error | null, body?: unknown) => void,
  ) => {
    request.bodyText = text
    try {
      assertShape(text)
    } catch (error) {
      done(error as Error)
      return
    }
    parseJson(request, text, done)
  }
  app.addContentTypeParser(
    [MEDIA.json, MEDIA.event],
    { parseAs: 'string', bodyLimit: MAX_EVENT_BYTES },
    readJson,
  )
  app.addContentTypeParser(MEDIA.events, { parseAs: 'string', bodyLimit: BATCH_BYTES }, readJson)
  app.addContentTypeParser(
    MEDIA.text,
    { parseAs: 'string', bodyLimit: MAX_EVENT_BYTES },
    async (request: FastifyRequest, text: string) => {
      request.bodyText = text
      return text
    },
  )
  // mail programs send `List-Unsubscribe=One-Click`, in either of the two types; what is signed is read as it came
  app.addContentTypeParser(
    [MEDIA.form, MEDIA.multipart],
    { parseAs: 'string', bodyLimit: FORM_BYTES },
    async (request: FastifyRequest, text: string) => {
      request.bodyText = text
      return {}
    },
  )
  // bytes: a mail may be in any encoding, and in several
  app.addContentTypeParser(
    MEDIA.mail,
    { parseAs: 'buffer', bodyLimit: MAIL_BYTES },
    async (_request: FastifyRequest, raw: Buffer) => raw,
  )
  app.addContentTypeParser(
    MEDIA.yaml,
    { parseAs: 'string', bodyLimit: MAX_EVENT_BYTES },
    async (request: FastifyRequest, text: string) => {
      request.bodyText = text
      try {
        return parseYaml(text, { maxAliasCount: 20 }) as unknown
      } catch (error) {
        throw new HttpProblem(400, 'YAML_INVALID', `The YAML can't be read: ${messageOf(error)}`)
      }
    },
  )
}
