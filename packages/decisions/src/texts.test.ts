import fc from 'fast-check'
import t from 'tap'
import { workflowOf } from './fixtures/facts.js'
import { plainText } from './plain-text.js'
import { createTextCompiler, type TextScope } from './texts.js'

const compiler = createTextCompiler()
const scopeOf = (data: unknown, user: Partial<TextScope['user']> = {}): TextScope => ({
  data,
  user: {
    id: 'ada',
    name: 'Ada',
    email: 'ada@example.com',
    locale: 'de-AT',
    timezone: 'Europe/Vienna',
    ...user,
  },
  event: { id: 'e1', type: 'a.b', source: '/s', subject: null, time: null },
})
const render = (
  source: string,
  data: unknown = {},
  user: Partial<TextScope['user']> = {},
  field = 'content.body',
) => compiler.compile(source, field, { html: field.endsWith('.html') }).render(scopeOf(data, user))

t.test('a missing variable is an error that names it', async (t) => {
  const missing = (source: string, name: string, data: unknown = {}, user: Partial<TextScope['user']> = {}) =>
    t.throws(
      () => render(source, data, user),
      {
        name: 'RenderError',
        code: 'VARIABLE_MISSING',
        field: 'content.body',
        message: `content.body needs ${name}, which`,
      },
      source,
    )
  missing('Hello {{ data.name }}', 'data.name')
  missing('Hello {{ data.name }}', 'data.name', { name: null })
  missing('Hello {{ data.name | upcase }}', 'data.name', { name: null })
  missing('Hello {{ data.driver.name }}', 'data.driver', { driver: null })
  missing('Hello {{ data.driver.name }}', 'data.driver.name', { driver: { name: null } })
  missing('{{ data.list[0].name }}', 'data.list.0.name', { list: [{ name: null }] })
  missing('Hello {{ user.name }}', 'user.name', {}, { name: null })
  missing('{{ event.subject }}', 'event.subject')
  missing('{{ data.name }}', 'data', null)
  for (const data of ['text', 7, []]) missing('{{ data.name }}', 'data.name', data)
})

t.test('what may be missing says so', async (t) => {
  t.equal(render("Hello {{ data.name | default: 'you' }}", { name: null }), 'Hello you')
  t.equal(render("Hello {{ data.name | default: 'you' }}", { name: '' }), 'Hello you')
  t.equal(render('{% if data.note %}{{ data.note }}{% else %}none{% endif %}', { note: null }), 'none')
})

t.test('a name that no event can bring is refused before anything is published', async (t) => {
  t.throws(() => compiler.compile('{{ driver }}', 'content.title', { html: false }), {
    code: 'VARIABLE_MISSING',
    message: /names "driver"; .* write data\.driver/,
  })
  t.throws(() => compiler.compile('{{ user.nmae }}', 'content.title', { html: false }), {
    message: /user has id, name/,
  })
  t.equal(
    render('{% assign x = data.a %}{% for y in data.l %}{{ y }}{{ forloop.index }}{{ x }}{% endfor %}', {
      a: 1,
      l: ['b'],
    }),
    'b11',
  )
})

t.test('the same event reads the same for ever', async (t) => {
  t.test('filters that ask the clock or chance, and tags that ask for files, are not there', async (t) => {
    for (const source of [
      "{{ 'now' | date_to_string }}",
      '{{ data.list | sample }}',
      "{{ data.list | where_exp: 'x', 'x' }}",
      "{% include 'x' %}",
      "{% layout 'x' %}",
    ]) {
      t.throws(
        () => compiler.compile(source, 'content.title', { html: false }),
        { name: 'RenderError', code: 'TEMPLATE' },
        source,
      )
    }
  })
  t.test('now, and a time without its zone, are no moments', async (t) => {
    for (const moment of ['now', 'today', '2026-11-21T12:00:00', '21/11/2026', '', true, {}, '2026-13-01']) {
      t.throws(
        () => render('{{ data.at | date }}', { at: moment }),
        { code: 'TEMPLATE', message: /date needs an RFC 3339/ },
        String(moment),
      )
    }
  })
})

t.test("money, numbers and moments read as the reader's locale and zone have them", async (t) => {
  const at = '2026-01-05T23:30:00Z'
  const written = (source: string, data: unknown, user: Partial<TextScope['user']> = {}) =>
    render(source, data, user).replace(/\s/g, ' ')
  t.equal(written('{{ data.a | money: data.c }}', { a: 1234.5, c: 'EUR' }), '€ 1.234,50')
  t.equal(written('{{ data.a | money: "EUR" }}', { a: '14.5' }, { locale: 'en-GB' }), '€14.50')
  t.equal(written('{{ data.a | number }}', { a: 1234.5 }, { locale: 'en-GB' }), '1,234.5')
  t.equal(written('{{ data.at | date }} {{ data.at | time }}', { at }), '06.01.2026 00:30')
  t.equal(written('{{ data.at | time }}', { at }, { locale: 'en-GB', timezone: 'America/New_York' }), '18:30')
  t.equal(
    written('{{ data.at | date: "long" }}', { at: Date.parse(at) }, { locale: 'en-GB', timezone: null }),
    '5 January 2026',
  )
  t.equal(
    written('{{ data.at | date }}', { at: '2026-01-05' }, { timezone: 'America/New_York' }),
    '05.01.2026',
    'a date has no zone',
  )
  t.test('a locale or zone that is none keeps no text from its reader', async (t) => {
    t.equal(written('{{ data.a | money: "EUR" }}', { a: 1 }, { locale: 'xx_!!' }), '€1.00')
    t.equal(written('{{ data.at | time }}', { at }, { locale: 'en-GB', timezone: 'Mars/Base' }), '23:30')
  })
  t.test('an amount or currency that is none is an error, not "NaN"', async (t) => {
    for (const [a, c] of [
      ['much', 'EUR'],
      [true, 'EUR'],
      ['', 'EUR'],
      [1, 'euro'],
      [1, 978],
    ])
      t.throws(() => render('{{ data.a | money: data.c }}', { a, c }), {
        code: 'TEMPLATE',
        message: /money needs/,
      })
  })
})

t.test('what can be kept and shown', async (t) => {
  t.equal(render('{{ data.a }}', { a: 'a\u0000b\u001bc\u007fd\te\nf\ud800' }), 'abcd\te\nf\ufffd')
  t.equal(
    render('{{ data.a }}', { a: 'x\r\nBcc: evil@example.com' }, {}, 'content.subject'),
    'x Bcc: evil@example.com',
  )
  t.equal(render('{{ data.a }}', { a: 'one\ntwo' }, {}, 'content.title'), 'one two')
  t.equal(
    render('<p>{{ data.a }}</p>{{ data.b | raw }}', { a: '<script>&"', b: '<b>' }, {}, 'content.html'),
    '<p>&lt;script&gt;&amp;&#34;</p><b>',
    'HTML is escaped unless the author says raw',
  )
  t.equal(render('{{ data.a }}', { a: '{{ user.email }}' }), '{{ user.email }}', 'data is never a template')
})

t.test('limits hold against hostile data and templates', async (t) => {
  const within = (ms: number, run: () => unknown, code: string) => {
    const begun = process.cpuUsage()
    t.throws(run, { name: 'RenderError', code })
    t.ok(process.cpuUsage(begun).user < ms * 1_000, `within ${ms} ms`)
  }
  const loop = `${'{% for a in (1..9999) %}'.repeat(3)}x${'{% endfor %}'.repeat(3)}`
  t.test('of time', async () => within(5_000, () => render(loop), 'LIMIT'))
  t.test('of memory', async () => {
    within(
      5_000,
      () =>
        render('{% assign s = "x" %}{% for i in (1..60) %}{% assign s = s | append: s %}{% endfor %}{{ s }}'),
      'LIMIT',
    )
    within(5_000, () => render('{% for i in (1..9999999) %}x{% endfor %}'), 'LIMIT')
    within(5_000, () => render("{{ data.s | replace: 'a', data.s }}", { s: 'a'.repeat(100_000) }), 'LIMIT')
  })
  t.test('of output', async (t) => {
    within(5_000, () => render('{{ data.s }}', { s: 'x'.repeat(256 * 1024) }), 'LIMIT')
    within(5_000, () => render('{{ data.s }}', { s: '<'.repeat(100_000) }, {}, 'content.html'), 'LIMIT')
    t.equal(render('{{ data.s }}', { s: 'x'.repeat(100_000) }, {}, 'content.html').length, 100_000)
  })
  t.test('of what a template may be', async (t) => {
    t.throws(() => compiler.compile(`{{ data.a }}${'x'.repeat(200_000)}`, 'content.html', { html: true }), {
      code: 'TEMPLATE',
    })
  })
  t.test('and the compiler goes on working after them', async (t) =>
    t.equal(render('{{ data.a }}', { a: 1 }), '1'),
  )
  t.test('of nesting in data', async (t) => {
    const deep = JSON.parse(`${'{"a":'.repeat(5_000)}null${'}'.repeat(5_000)}`) as object
    t.equal(render('{{ data.b | upcase }}', { b: 'x', deep }), 'X')
  })
})

t.test('texts never reach beyond the event and its reader', async (t) => {
  const hostile = JSON.parse(
    '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"name":null}',
  ) as object
  t.throws(() => render('{{ data.polluted }}', hostile), { code: 'VARIABLE_MISSING' })
  t.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  for (const path of [
    'data.constructor.name',
    'data.toString',
    'data.list.constructor',
    'data.s.length.constructor',
  ])
    t.throws(() => render(`{{ ${path} }}`, { s: 'x', list: [1] }), { name: 'RenderError' }, path)
})

t.test('plain texts say what Liquid says', async (t) => {
  const name = fc.constantFrom('a', 'b', 'size', 'first', 'constructor')
  const value = fc.oneof(
    fc.string(),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.string(), { maxLength: 2 }),
    fc.constant({ a: 'x' }),
  )
  const output = fc
    .tuple(
      fc.array(name, { minLength: 1, maxLength: 2 }),
      fc.constantFrom('', " | default: 'd'", ' | default: ""'),
    )
    .map(([path, filter]) => `{{ data.${path.join('.')}${filter} }}`)
  const source = fc
    .array(fc.oneof(output, fc.constantFrom('Hello ', '\n', 'ä', '{ ', "'")), { maxLength: 4 })
    .map((parts) => parts.join(''))
  const outcome = (run: () => string) => {
    try {
      return run()
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  let joined = 0
  fc.assert(
    fc.property(source, fc.dictionary(name, value), (text, data) => {
      const direct = plainText(text)
      if (direct === undefined) return
      const scope = scopeOf(JSON.parse(JSON.stringify(data)))
      // a comment makes the same text go through Liquid
      const liquid = outcome(() =>
        compiler
          .compile(`{% comment %}{% endcomment %}${text}`, 'content.body', { html: false })
          .render(scope),
      )
      const mine = outcome(() => compiler.compile(text, 'content.body', { html: false }).render(scope))
      if (direct(scope) !== undefined) joined++
      if (mine !== liquid) throw new Error(`${text} gives ${mine}, Liquid ${liquid}`)
    }),
    { numRuns: 300 },
  )
  t.ok(joined > 50, `${joined} were joined directly`)
})

t.test('locales fall back field by field', async (t) => {
  const written = {
    content: { title: 'title', body: 'body', url: 'https://x.example/' },
    locales: {
      de: { title: 'Titel', body: 'Text' },
      'de-AT': { title: 'Titel AT' },
      'pt-BR': { title: 'Título' },
    },
  }
  const workflow = workflowOf(written)
  const read = (locale: string | null, tenantLocale = 'en') => {
    const scope = scopeOf({}, { locale: locale ?? tenantLocale })
    const { title, body, url } = workflow.texts.render(scope, tenantLocale)
    t.equal(url, 'https://x.example/')
    return [title, body]
  }
  t.strictSame(read('de-AT'), ['Titel AT', 'Text'])
  t.strictSame(read('DE-at'), ['Titel AT', 'Text'], 'whatever the case')
  t.strictSame(read('de-CH'), ['Titel', 'Text'])
  t.strictSame(read('fr'), ['title', 'body'])
  t.strictSame(read('fr', 'de-AT'), ['Titel AT', 'Text'], "then the tenant's")
  t.strictSame(read('pt', 'en'), ['title', 'body'], 'pt is not answered in pt-BR')
  t.strictSame(read(null, 'pt-BR'), ['Título', 'body'], "nobody's locale is the tenant's")
  t.strictSame(read('not a locale ! at all'), ['title', 'body'])
})

t.test("a step's own texts and templates", async (t) => {
  const templates = {
    partials: {},
    layouts: {},
    contents: {
      mail: { default: { title: 'Mail', html: '<p>{{ data.a }}</p>' }, de: { title: 'Post' } },
    },
  }
  const workflow = workflowOf(
    {
      content: { title: 'shared', body: 'body' },
      steps: [
        'inbox',
        { email: { template: 'mail' } },
        { push: { content: { title: 'short' } } },
        { webhook: { url: 'https://x.example/' } },
      ],
    },
    templates,
  )
  const [inbox, email, push] = workflow.steps.map((step) => ('texts' in step ? step.texts : undefined))
  const scope = (locale: string) => scopeOf({ a: '<' }, { locale })
  t.equal(inbox, undefined)
  t.strictSame(email?.render(scope('en'), 'en'), { title: 'Mail', body: 'body', html: '<p>&lt;</p>' })
  t.strictSame(push?.render(scope('en'), 'en'), { title: 'short', body: 'body' })
  t.equal(email?.render(scope('de-AT'), 'en').title, 'Post')
  t.throws(
    () =>
      workflowOf({ steps: [{ email: { template: 'gone' } }] }, { contents: {}, partials: {}, layouts: {} }),
    {
      code: 'WORKFLOW_INVALID',
      path: 'steps.0.email.template',
    },
  )
})
