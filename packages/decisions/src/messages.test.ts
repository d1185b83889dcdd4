import type { Content } from '@carillon/contracts'
import fc from 'fast-check'
import t from 'tap'
import { compileContent } from './content.js'
import { createTextCompiler, type TextScope } from './texts.js'

const scopeOf = (data: unknown, locale = 'en'): TextScope => ({
  data,
  user: { id: 'ada', name: 'Ada', email: null, locale, timezone: 'Europe/Vienna' },
  event: { id: 'e1', type: 'a.b', source: '/s', subject: null, time: null },
})
interface Written {
  content?: Content
  locales?: Record<string, Content>
}
const compile = ({ content, locales }: Written) =>
  compileContent(createTextCompiler(), [{ content, locales }], { at: 'content' })
const read = (written: Written, data: unknown, locale = 'en', tenantLocale = 'en') =>
  compile(written).render(scopeOf(data, locale), tenantLocale).body?.replace(/\s/g, ' ')

const RIDES = '{count, plural, one {# ride} other {# rides}}'
const PRZEJAZDY =
  '{count, plural, one {# przejazd} few {# przejazdy} many {# przejazdów} other {# przejazdu}}'

t.test('a message in a text has the plurals of its own locale', async (t) => {
  const body = (message: string) => ({ body: `{{ "${message}" | icu: count: data.count }}` })
  const written = { content: body(RIDES), locales: { pl: body(PRZEJAZDY) } }
  const said = (count: unknown, locale: string) => read(written, { count }, locale)
  t.equal(said(1, 'en'), '1 ride')
  t.equal(said('2', 'en'), '2 rides')
  t.strictSame(
    [1, 2, 5, 22].map((count) => said(count, 'pl')),
    ['1 przejazd', '2 przejazdy', '5 przejazdów', '22 przejazdy'],
  )
  t.equal(
    read({ content: body(RIDES) }, { count: 22 }, 'pl'),
    '22 rides',
    'who falls back to English reads English plurals',
  )
  t.equal(said(12_345, 'de-AT')?.replace(/\D/g, ''), '12345')
  t.equal(read(written, { count: 1234.5 }, 'de'), '1.234,5 rides', "and their own locale's numbers")
})

t.test('translators write messages, one by one', async (t) => {
  const written: Written = {
    content: {
      body: '{{ "rides" | t: count: data.count }} {{ "bye" | t }}',
      messages: { rides: RIDES, bye: 'Bye' },
    },
    locales: {
      pl: { messages: { rides: PRZEJAZDY } },
      'de-AT': { messages: { bye: 'Servus' } },
      de: { messages: { rides: '{count, plural, one {# Fahrt} other {# Fahrten}}', bye: 'Tschüss' } },
    },
  }
  t.equal(read(written, { count: 2 }), '2 rides Bye')
  t.equal(read(written, { count: 2 }, 'pl'), '2 przejazdy Bye')
  t.equal(read(written, { count: 2 }, 'de-AT'), '2 Fahrten Servus')
  t.equal(read(written, { count: 2 }, 'de'), '2 Fahrten Tschüss')
  t.equal(read(written, { count: 2 }, 'fr', 'de'), '2 Fahrten Tschüss', "then the tenant's")
  t.test('and data may say which', async (t) => {
    const states = { content: { body: '{{ data.state | t }}', messages: { paid: 'Paid', open: 'Open' } } }
    t.equal(read(states, { state: 'paid' }), 'Paid')
    for (const state of ['lost', 'constructor', 7, ['paid'], { paid: 1 }]) {
      t.throws(() => read(states, { state }), {
        code: 'TEMPLATE',
        message: /content\.body: there is no message/,
      })
    }
  })
})

t.test('select, ordinals, numbers and moments', async (t) => {
  const said = (message: string, data: Record<string, unknown>, locale = 'en') => {
    const given = Object.keys(data).map((name) => `${name}: data.${name}`)
    return read({ content: { body: `{{ "${message}" | icu: ${given.join(', ')} }}` } }, data, locale)
  }
  t.equal(said('{who, select, female {her} male {his} other {their}} car', { who: 'female' }), 'her car')
  t.equal(said('{who, select, true {yes} other {no}}', { who: true }), 'yes')
  t.equal(said('{n, selectordinal, one {#st} two {#nd} few {#rd} other {#th}}', { n: 22 }), '22nd')
  t.equal(
    said('{n, plural, offset:1 =0 {nobody} =1 {you} other {you and # more}}', { n: 3 }),
    'you and 2 more',
  )
  t.equal(said('{n, number, ::currency/EUR}', { n: 1234.5 }, 'de'), '1.234,50 €')
  t.equal(said('{n, number, percent}', { n: 0.25 }, 'de'), '25 %')
  const at = '2026-01-05T23:30:00Z'
  t.equal(said('{at, date, long} {at, time, short}', { at }, 'de'), '6. Januar 2026 00:30')
  t.equal(said('{at, date, short}', { at: '2026-01-05' }, 'en-GB'), '05/01/26', 'a date has no zone')
  t.equal(said("It''s {name}, '{'literally'}' <b>", { name: '{x}' }), "It's {x}, {literally} <b>")
})

t.test('what can be known is refused before anything is published', async (t) => {
  const refused = (written: Written, code: string, field: string, message: RegExp) =>
    t.throws(() => compile(written), { name: 'RenderError', code, field, message }, JSON.stringify(written))
  const body = (source: string, messages?: Record<string, string>) => ({
    content: messages === undefined ? { body: source } : { body: source, messages },
  })
  refused(
    body('{{ "{count, plural, one {x}" | icu: count: 1 }}'),
    'TEMPLATE',
    'content.body',
    /no ICU message/,
  )
  refused(body('{{ "{n, plural, one {x}}" | icu: n: 1 }}'), 'TEMPLATE', 'content.body', /MISSING_OTHER/)
  refused(body('{{ "{n, number, wide}" | icu: n: 1 }}'), 'TEMPLATE', 'content.body', /no style "wide"/)
  refused(body('{{ "{n, number, currency}" | icu: n: 1 }}'), 'TEMPLATE', 'content.body', /[Cc]urrency/)
  refused(body('{{ "{a} {b}" | icu: a: 1 }}'), 'VARIABLE_MISSING', 'content.body', /needs b, which/)
  refused(body('{{ data.text | icu: a: 1 }}'), 'TEMPLATE', 'content.body', /data is never a message/)
  refused(body('{{ "{a}" | icu: data.pair }}'), 'TEMPLATE', 'content.body', /takes named arguments/)
  refused(body('{% if data.x %}{{ "x" | t }}{% endif %}'), 'TEMPLATE', 'content.body', /no message "x"/)
  refused(body('{{ "x" | t }}', { x: '{n}' }), 'VARIABLE_MISSING', 'content.body', /message "x" needs n/)
  refused(body('x', { x: '{n' }), 'TEMPLATE', 'content.messages.x', /no ICU message/)
  refused(
    { ...body('{{ "x" | t: n: 1 }}', { x: '{n}' }), locales: { de: { messages: { x: '{m}' } } } },
    'VARIABLE_MISSING',
    'content.body',
    /needs m/,
  )
  refused(
    { ...body('{{ "x" | t }}'), locales: { de: { messages: { x: 'nur hier' } } } },
    'TEMPLATE',
    'content.body',
    /no message "x" for everybody/,
  )
  t.doesNotThrow(() => compile({ locales: { de: { body: '{{ "x" | t }}', messages: { x: 'hier' } } } }))
  t.doesNotThrow(() =>
    compile({ locales: { de: { messages: { x: 'hier' } }, 'de-AT': { body: '{{ "x" | t }}' } } }),
  )
})

t.test('arguments of events are values and nothing more', async (t) => {
  const written = {
    content: {
      body: `{{ "n" | t: count: data.count, name: data.name }}`,
      messages: { n: `${RIDES} for {name}` },
    },
  }
  const text = compile(written)
  t.throws(() => read(written, { count: 1 }), { code: 'VARIABLE_MISSING', message: /needs data\.name/ })
  t.throws(() => read({ content: { body: '{{ "{a}" | icu: a: data.list[0] }}' } }, { list: [null] }), {
    code: 'VARIABLE_MISSING',
    message: "content.body: A message needs a, which it isn't given.",
  })
  for (const count of ['many', '', {}, [], true, '1e999']) {
    t.throws(() => read(written, { count, name: 'x' }), { code: 'TEMPLATE', message: /count needs a number/ })
  }
  t.throws(() => read(written, { count: 1, name: {} }), { code: 'TEMPLATE', message: /name needs a text/ })
  t.throws(() => read({ content: { body: '{{ "{a, date}" | icu: a: data.a }}' } }, { a: 'now' }), {
    message: /a needs an RFC 3339 moment/,
  })
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), (count, name) => {
      const once = text.render(scopeOf({ count, name }), 'en').body
      if (once !== compile(written).render(scopeOf({ count, name }), 'en').body) throw new Error(once)
      if (!once?.includes(name.trim().replace(/\p{Cc}/gu, '')) && !/\p{Cc}/u.test(name)) throw new Error(once)
    }),
    { numRuns: 200 },
  )
  t.test('and can not make a text grow beyond its limits', async (t) => {
    const many = `{{ "${'{a}'.repeat(500)}" | icu: a: data.a }}`
    t.throws(() => read({ content: { body: many } }, { a: 'x'.repeat(100_000) }), { code: 'LIMIT' })
    t.equal(read({ content: { body: many } }, { a: 'xy' })?.length, 1_000)
  })
  t.test('nor put markup into HTML', async (t) => {
    const html = { content: { html: '<p>{{ "Hi <b>{a}</b>" | icu: a: data.a }}</p>' } }
    t.equal(compile(html).render(scopeOf({ a: '<i>' }), 'en').html, '<p>Hi &lt;b&gt;&lt;i&gt;&lt;/b&gt;</p>')
  })
})

t.test('a partial has messages of its own', async (t) => {
  const compiler = createTextCompiler({
    partials: {
      rides: {
        default: { text: '{{ "rides" | t: count: count }}', messages: { rides: RIDES } },
        pl: { text: '{{ "rides" | t: count: count }}!', messages: { rides: PRZEJAZDY } },
      },
    },
  })
  const text = compiler.compile("{% render 'rides', count: data.n %}", 'content.body', { html: false })
  t.equal(text.render(scopeOf({ n: 5 }), 'en'), '5 rides')
  t.equal(text.render(scopeOf({ n: 5 }, 'pl-PL'), 'en'), '5 przejazdów!')
})

t.test('a mail in a layout, and where its readers can unsubscribe', async (t) => {
  const compiler = createTextCompiler({
    layouts: { mail: { default: { html: '<main>{{ content }}</main>{{ unsubscribe.url }}' } } },
  })
  const mail = compileContent(
    compiler,
    [
      {
        content: { title: 'T', body: 'one\n\ntwo', layout: 'mail' },
        locales: { de: { body: 'eins' }, fr: { html: '<h1>un</h1>' } },
      },
    ],
    { at: 'content' },
  )
  const html = (locale: string) => mail.render(scopeOf({}, locale), 'en').html
  t.equal(html('en'), '<main><p>one</p>\n<p>two</p></main>https://unsubscribe.invalid/')
  t.equal(html('de'), '<main><p>eins</p></main>https://unsubscribe.invalid/')
  t.equal(html('fr'), '<main><h1>un</h1></main>https://unsubscribe.invalid/')
  const push = compileContent(compiler, [{ content: { title: 'T', body: 'b', layout: 'mail' } }], {
    at: 'steps.0.push',
    channel: 'push',
  })
  t.strictSame(push.render(scopeOf({}), 'en'), { title: 'T', body: 'b' }, 'who shows no mail renders none')
  const stop = (channel?: 'email' | 'push') =>
    compileContent(compiler, [{ content: { body: 'stop: {{ unsubscribe.url }}' } }], {
      at: 'content',
      ...(channel === undefined ? {} : { channel }),
    })
  t.equal(stop('email').render(scopeOf({}), 'en').body, 'stop: https://unsubscribe.invalid/')
  t.throws(() => stop(), {
    code: 'VARIABLE_MISSING',
    message: /unsubscribe; only html and the texts of an email/,
  })
  t.throws(() => compileContent(compiler, [{ content: { body: 'b', layout: 'gone' } }], { at: 'content' }), {
    message: /no layout "gone"/,
  })
  t.throws(
    () =>
      compileContent(compiler, [{ content: { body: 'b' }, locales: { de: { layout: 'gone' } } }], {
        at: 'content',
      }),
    {
      message: /no layout "gone"/,
    },
  )
})

t.test('a digest is there in runs that went through one', async (t) => {
  const body =
    '{{ digest.count }} of {{ digest.total }}: {% for i in digest.items %}{{ i.n }} {% endfor %}{{ digest.last.n }}'
  const text = compile({ content: { body } })
  const items = [{ n: 1 }, { n: 2 }]
  const digest = { count: 2, total: 3, items, first: items[0], last: items[1] }
  t.equal(text.render({ ...scopeOf({}), digest }, 'en').body, '2 of 3: 1 2 2')
  t.throws(() => text.render(scopeOf({}), 'en'), {
    code: 'VARIABLE_MISSING',
    message: 'content.body needs digest, which only runs have that went through a digest.',
  })
  t.throws(() => compile({ content: { body: '{{ digest.size_ }}' } }), { message: /digest has key, count/ })
  const profile = compile({ content: { body: '{{ user.attributes.plan }} {{ user.roles | join: "+" }}' } })
  const { user, ...rest } = scopeOf({})
  const told = { ...rest, user: { ...user, roles: ['a', 'b'], attributes: { plan: 'pro' } } }
  t.equal(profile.render(told, 'en').body, 'pro a+b')
})
