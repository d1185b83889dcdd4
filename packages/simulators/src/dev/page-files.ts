import { readFile } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}
const FILES = [
  ...[
    'index.html',
    'icon.svg',
    'style.css',
    'cards.css',
    'panels.css',
    'app.js',
    'api.js',
    'bells.js',
    'inbox.js',
  ],
  ...[
    'lists.js',
    'mail.js',
    'messages.js',
    'outage.js',
    'panels.js',
    'phones.js',
    'receipts.js',
    'stream.js',
  ],
  ...['strip.js', 'suppressions.js'],
]
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const PAGE = new URL('../../../page/', import.meta.url)

/** The page at `/`, its parts under `/dev/page/`. */
export async function addPageFiles(app: FastifyInstance): Promise<void> {
  for (const file of FILES) {
    const body = await readFile(new URL(file, PAGE))
    const type = TYPES[file.slice(file.lastIndexOf('.') + 1)] as string
    app.get(file === 'index.html' ? '/' : `/dev/page/${file}`, (_request, reply) => send(reply, body, type))
  }
}

function send(reply: FastifyReply, body: Buffer, type: string): FastifyReply {
  return reply
    .header('content-security-policy', POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cache-control', 'no-cache')
    .type(type)
    .send(body)
}
