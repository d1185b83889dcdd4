import type { ChannelRule } from '@carillon/contracts'
import t from 'tap'
import { MAX_PUBLICATION_BYTES } from './publication.js'
import { createRuleCompiler } from './rule-compiler.js'

const compiler = createRuleCompiler()
const rule = (schema: ChannelRule['schema']): ChannelRule => ({
  namespace: 'ride',
  authorise: false,
  allow: [],
  joins: true,
  schema,
})
const judge = (schema: Record<string, unknown>, data: unknown) =>
  compiler.compile(rule(schema)).validate(data)

/** What this process computes from now on, however many others the machine has. */
const cpuMs = () => {
  const begun = process.cpuUsage()
  return () => process.cpuUsage(begun).user / 1_000
}

const LOCATION = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    at: { $ref: '#/$defs/point' },
    plate: { type: 'string', pattern: '^[A-Z]{1,3}-\\d{1,5}[A-Z]?$' },
    when: { type: 'string', format: 'date-time' },
    stops: { type: 'array', items: { $ref: '#/$defs/point' }, maxItems: 5, uniqueItems: true },
  },
  required: ['at'],
  additionalProperties: false,
  $defs: {
    point: {
      type: 'object',
      properties: { lat: { type: 'number', minimum: -90, maximum: 90 }, lng: { type: 'number' } },
      required: ['lat', 'lng'],
    },
  },
}

t.test('says where data breaks the schema, as a JSON pointer, without repeating the data', async (t) => {
  const at = { lat: 48.2, lng: 16.4 }
  t.equal(judge(LOCATION, { at, plate: 'W-1234A', when: '2026-11-21T10:00:00Z', stops: [at] }), undefined)
  t.strictSame(judge(LOCATION, {}), { path: '/at', message: 'is missing' })
  t.match(judge(LOCATION, { at: { lat: 91, lng: 0 } }), { path: '/at/lat', message: 'must be <= 90' })
  t.match(judge(LOCATION, { at, stops: [at, { lat: '1', lng: 2 }] }), { path: '/stops/1/lat' })
  t.match(judge(LOCATION, { at, stops: [at, at] }), { path: '/stops', message: /duplicate/ })
  t.strictSame(judge(LOCATION, { at, 'a/b~c': 1 }), { path: '/a~1b~0c', message: 'is not known' })
  t.match(judge(LOCATION, { at, plate: 'secret plate' }), { path: '/plate', message: /must match pattern/ })
  t.match(judge(LOCATION, { at, when: '2026-02-30T10:00:00Z' }), { path: '/when', message: /date-time/ })
  const long = judge(LOCATION, { at, [`x${'y'.repeat(5_000)}`]: 1 })
  t.ok((long?.path.length ?? 0) < 300)
})

t.test('takes only objects without the names that poison receivers, whatever the schema says', async (t) => {
  const open = compiler.byDefault('chat')
  t.same(open.rule, {
    namespace: 'chat',
    authorise: false,
    allow: ['presence', 'history'],
    joins: true,
    schema: null,
  })
  for (const data of [null, 1, 'text', [1], true, undefined]) {
    t.strictSame(open.validate(data), { path: '', message: 'must be an object' })
  }
  t.equal(open.validate(JSON.parse('{"a":{"__proto__":{"admin":true}}}'))?.path, '/a/__proto__')
  t.equal(open.validate(JSON.parse('{"a":{"__proto__":1}}'))?.path, '/a/__proto__')
  t.equal(open.validate(JSON.parse('{"constructor":{"prototype":{"x":1}}}'))?.path, '/constructor')
  t.equal(open.validate({ constructor: 'Ferrari' }), undefined, 'a word that only sounds like one')
  let deep: unknown = {}
  for (let level = 0; level < 40; level++) deep = { deep }
  t.match(open.validate(deep), { message: 'may be nested 32 levels deep' })
  const inherited = compiler.compile(rule({ type: 'object', required: ['toString'] }))
  t.match(inherited.validate({}), { path: '/toString' }, 'what every object inherits is no member')
})

t.test('bounds a publication by its bytes, before its schema is looked at', async (t) => {
  const { encode } = compiler.compile(rule({ type: 'object', properties: { text: { type: 'string' } } }))
  t.strictSame(encode({ text: 'Grüße' }), { ok: true, body: '{"text":"Grüße"}' })
  t.strictSame(encode({ text: 1 }), { ok: false, problem: { path: '/text', message: 'must be string' } })
  const fits = 'x'.repeat(MAX_PUBLICATION_BYTES - '{"text":""}'.length)
  t.ok(encode({ text: fits }).ok)
  t.match(encode({ text: `${fits}x` }), { ok: false, problem: { path: '', message: 'may have 32768 bytes' } })
  t.match(encode({ text: 'ü'.repeat(MAX_PUBLICATION_BYTES / 2) }), { ok: false })
})

t.test(
  'refuses schemas that are none, that ask for what is not offered, or that leave themselves',
  async (t) => {
    const refused: [Record<string, unknown>, string, RegExp][] = [
      [{ type: 'objekt' }, '/type', /allowed values/],
      [{ properties: { a: 5 } }, '/properties/a', /must be a schema/],
      [{ minimum: '5' }, '/minimum', /must be number/],
      [{ properties: [] }, '/properties', /object of schemas/],
      [{ $schema: 'https://evil.example/meta' }, '/$schema', /2020-12/],
      [{ $id: 'https://evil.example/x' }, '/$id', /not offered/],
      [{ $ref: 'https://evil.example/schema.json' }, '/$ref', /must name one of this schema/],
      [{ $ref: '#' }, '/$ref', /must name/],
      [{ $ref: '#/$defs/toString', $defs: {} }, '/$ref', /must name/],
      [{ $dynamicRef: '#x' }, '/$dynamicRef', /not offered/],
      [{ patternProperties: { '^(a+)+$': {} } }, '/patternProperties', /not offered/],
      [{ properties: { a: { format: 'regex' } } }, '/properties/a/format', /not offered/],
      [{ properties: { a: { formt: 'date' } } }, '/properties/a/formt', /not offered/],
      [{ type: 'array', uniqueItems: true }, '/uniqueItems', /maxItems/],
      [{ uniqueItems: true, maxItems: 101 }, '/uniqueItems', /maxItems/],
      [JSON.parse('{"properties":{"__proto__":{}}}'), '/properties', /__proto__/],
      [JSON.parse('{"const":{"__proto__":{}}}'), '/const', /__proto__/],
      [{ description: 'x'.repeat(65_536) }, '', /65536 bytes/],
    ]
    for (const [schema, path, message] of refused) {
      t.throws(() => compiler.compile(rule(schema)), { code: 'SCHEMA_INVALID', path, message })
    }
    let deep: Record<string, unknown> = {}
    for (let level = 0; level < 60; level++) deep = { not: deep }
    t.throws(() => compiler.compile(rule(deep)), { code: 'SCHEMA_INVALID', message: /nested too deep/ })
  },
)

t.test('refuses references that go round or multiply', async (t) => {
  const tree = { $ref: '#/$defs/node', $defs: { node: { properties: { next: { $ref: '#/$defs/node' } } } } }
  t.throws(() => compiler.compile(rule(tree)), { message: /refers to itself/ })
  const $defs: Record<string, unknown> = { d0: { type: 'object' } }
  for (let level = 1; level <= 20; level++) {
    const $ref = `#/$defs/d${level - 1}`
    $defs[`d${level}`] = { allOf: [{ $ref }, { $ref }] }
  }
  t.throws(() => compiler.compile(rule({ $ref: '#/$defs/d20', $defs })), { message: /too much/ })
})

t.test('a schema can not make one publication cost more than a moment', async (t) => {
  const ones = { a: Array.from({ length: 15_000 }, () => 1) }
  const some = (n: number) => Array.from({ length: n }, () => ({ const: 2 }))
  const alternatives = (n: number) => ({
    properties: { a: { items: { anyOf: [...some(n), { const: 1 }] } } },
  })
  t.throws(() => compiler.compile(rule(alternatives(64))), {
    path: '/properties/a/items/anyOf',
    message: /64 alternatives/,
  })
  const nested = { properties: { a: { items: { oneOf: [...some(40), { not: { allOf: some(40) } }] } } } }
  t.throws(() => compiler.compile(rule(nested)), { message: /64 alternatives/ })
  const wide = { enum: Array.from({ length: 1_001 }, (_, n) => n) }
  t.throws(() => compiler.compile(rule(wide)), { path: '/enum', message: /1000 steps/ })
  const { encode } = compiler.compile(rule(alternatives(63)))
  const costMs = cpuMs()
  t.ok(encode(ones).ok)
  t.ok(costMs() < 3_000, 'without the limit it would be half a minute')
  const slow = compiler.compile(rule({ properties: { a: { pattern: '[ab]*a[ab]{100}c$' } } }))
  t.strictSame(slow.validate({ a: 'ab'.repeat(15_000) }), {
    path: '',
    message: 'has too much text for the patterns of its schema',
  })
  t.match(
    slow.validate({ a: 'ab'.repeat(100) }),
    { path: '/a', message: /must match/ },
    'each publication anew',
  )
})

t.test('names and values of a schema are never run', async (t) => {
  const names = [
    '"]};process.exit(3)//',
    "'",
    '`+process.exit(3)+`',
    '\u2028',
    'a\nb',
    '\\',
    'constructor',
    'toString',
  ]
  const properties = Object.fromEntries(names.map((name) => [name, { const: name, title: name }]))
  const schema = { properties, required: names, additionalProperties: false, default: names }
  const { validate } = compiler.compile(rule(schema))
  t.equal(validate(Object.fromEntries(names.map((name) => [name, name]))), undefined)
  t.match(validate(Object.fromEntries(names.slice(0, -1).map((name) => [name, name]))), { path: '/toString' })
})

t.test('runs patterns in time proportional to the text, and refuses those that can not be', async (t) => {
  for (const pattern of [
    '(?=a)b',
    '(a)\\1',
    '(?<=x)y',
    '[',
    'a{5000}',
    '((a{30}){30}){30}',
    'x'.repeat(257),
  ]) {
    t.throws(() => compiler.compile(rule({ properties: { a: { pattern } } })), {
      code: 'SCHEMA_INVALID',
      path: '/properties/a/pattern',
    })
  }
  const text = `${'a'.repeat(5_000)}!`
  for (const pattern of ['^(a+)+$', '^(a|a)*$', '(a*)*b', '(.*)(.*)(.*)x$', '^(a?){50}a{50}$']) {
    const { validate } = compiler.compile(rule({ properties: { a: { type: 'string', pattern } } }))
    const costMs = cpuMs()
    t.match(validate({ a: text }), { path: '/a' }, pattern)
    t.ok(costMs() < 2_000, 'exponential or quadratic work would take minutes')
  }
  const unicode = judge({ properties: { a: { pattern: '^\\u00e9\\/[^\\s]$' } } }, { a: 'é/x' })
  t.equal(unicode, undefined, 'escapes as JavaScript writes them')
})

t.test('a stored schema that can not be used lets nothing be published', async (t) => {
  const closed = compiler.compileSafely(rule({ $ref: 'https://evil.example' }))
  t.match(closed.encode({ a: 1 }), { ok: false, problem: { message: /can not be used/ } })
})
