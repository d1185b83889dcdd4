import fc from 'fast-check'
import t from 'tap'
import { createTextCompiler, type TextDocuments, type TextScope } from './texts.js'

const scopeOf = (data: unknown, changes: Partial<TextScope> = {}): TextScope => ({
  data,
  user: { id: 'ada', name: 'Ada', email: null, locale: 'de-AT', timezone: 'Europe/Vienna' },
  event: { id: 'e1', type: 'a.b', source: '/s', subject: null, time: null },
  ...changes,
})
const only = (html: string) => ({ default: { html } })
const partialsOf = (sources: Record<string, string>): TextDocuments => ({
  partials: Object.fromEntries(Object.entries(sources).map(([name, text]) => [name, { default: { text } }])),
})
const render = (
  source: string,
  documents: TextDocuments,
  scope = scopeOf({}),
  field = 'content.body',
): string =>
  createTextCompiler(documents)
    .compile(source, field, { html: field.endsWith('.html') })
    .render(scope, 'en')

t.test('a partial says what it is given, wherever it stands', async (t) => {
  const documents = partialsOf({
    driver: '{{ driver.name }} in {{ car }}{% if note %} ({{ note }}){% endif %}',
    list: '{% for ride in rides %}{% render "ride", ride: ride %}{% endfor %}',
    ride: '[{{ ride.to }} {{ ride.at | time }}]',
  })
  const data = {
    driver: { name: 'Mira' },
    car: 'Ioniq',
    note: null,
    rides: [
      { to: 'A', at: '2026-01-05T23:30:00Z' },
      { to: 'B', at: '2026-01-06T10:00:00Z' },
    ],
  }
  const said = (source: string) => render(source, documents, scopeOf(data))
  t.equal(said("{% render 'driver', driver: data.driver, car: data.car %}!"), 'Mira in Ioniq!')
  t.equal(
    said("{% assign n = 'now' %}{% render 'driver', driver: data.driver, car: 'it', note: n %}"),
    'Mira in it (now)',
  )
  t.equal(said('{% render "list", rides: data.rides %}'), '[A 00:30][B 11:00]', "in the reader's zone")
  t.equal(said("{% if data.car %}{% render 'ride', ride: data.rides[1] %}{% endif %}"), '[B 11:00]')
  t.test('and nothing else: neither the event nor what others assigned', async (t) => {
    t.equal(
      render("{% assign x = 1 %}{% render 'a' %}", partialsOf({ a: "{{ x | default: 'nothing' }}" })),
      'nothing',
    )
    t.throws(() => render("{% render 'a' %}", partialsOf({ a: '{% if data.x %}y{% endif %}' })), {
      code: 'VARIABLE_MISSING',
      field: 'content.body',
      message: /renders the partial "a" without data; .*render 'a', data: data/,
    })
  })
})

t.test('a partial that nobody can render is refused by name before anything is published', async (t) => {
  const refused = (source: string, sources: Record<string, string>, expected: object) =>
    t.throws(
      () => createTextCompiler(partialsOf(sources)).compile(source, 'content.title', { html: false }),
      { name: 'RenderError', field: 'content.title', ...expected },
      source,
    )
  refused("{% render 'gone' %}", {}, { code: 'TEMPLATE', message: /no partial "gone"/ })
  refused("{% render 'constructor' %}", {}, { code: 'TEMPLATE', message: /no partial "constructor"/ })
  refused("{% render 'a' %}", { a: "{% render 'gone' %}" }, { message: /no partial "gone"/ })
  refused("{% render 'a' %}", { a: "{% render 'a' %}" }, { message: /circle: a → a\./ })
  refused(
    "{% if data.x %}{% render 'a' %}{% endif %}",
    { a: "{% render 'b' %}", b: "{% for x in (1..2) %}{% render 'c' %}{% endfor %}", c: "{% render 'b' %}" },
    { code: 'TEMPLATE', message: /circle: b → c → b\./ },
  )
  refused("{% render 'a' %}", { a: '{{ driver' }, { code: 'TEMPLATE', message: /the partial "a": output/ })
  refused(
    "{% render 'a' %}",
    { a: '{{ driver.name }}' },
    { message: /renders the partial "a" without driver/ },
  )
  refused(
    "{% render 'a' %}",
    { a: "{% render 'b' %}", b: '{{ x }}' },
    { message: /the partial "a" renders the partial "b" without x/ },
  )
  for (const source of [
    '{% render data.name %}',
    "{% render 'a' with data.x %}",
    "{% render 'a' for data.x as x %}",
    "{% render 'a', x %}",
    '{% render %}',
  ])
    refused(source, { a: 'x' }, { code: 'TEMPLATE' })
  t.throws(
    () =>
      createTextCompiler({ partials: { a: { de: { text: 'x' } } } }).compile("{% render 'a' %}", 'f', {
        html: false,
      }),
    { message: /the partial "a" has no default/ },
  )
  t.test('without knowing which there are, only rendering fails', async (t) => {
    const text = createTextCompiler().compile("{% render 'a' %}", 'content.title', { html: false })
    t.throws(() => text.render(scopeOf({})), { code: 'TEMPLATE', message: /no partial "a"/ })
  })
})

t.test('eight partials deep and no deeper', async (t) => {
  const chain = (length: number) =>
    partialsOf(
      Object.fromEntries(
        Array.from({ length }, (_, index) => [
          `p${index}`,
          index === length - 1 ? 'end' : `{% render 'p${index + 1}' %}`,
        ]),
      ),
    )
  t.equal(render("{% render 'p0' %}", chain(8)), 'end')
  t.throws(() => render("{% render 'p0' %}", chain(9)), { code: 'LIMIT', message: /more than 8 deep/ })
  const known = createTextCompiler(chain(9))
  t.equal(known.compile("{% render 'p1' %}", 'f', { html: false }).render(scopeOf({})), 'end')
  t.throws(() => known.compile("{% render 'p0' %}", 'f', { html: false }), { code: 'LIMIT' })
})

t.test('a variable that is missing inside a partial is named with it', async (t) => {
  const documents = partialsOf({
    outer: "{% render 'inner', driver: driver %}",
    inner: '{{ driver.name }}',
  })
  t.throws(
    () => render("{% render 'outer', driver: data.driver %}", documents, scopeOf({ driver: { name: null } })),
    {
      code: 'VARIABLE_MISSING',
      field: 'content.body',
      message: 'content.body, in the partial "outer" > "inner" needs driver.name, which it isn\'t given.',
    },
  )
  t.throws(() => render("{% render 'outer', driver: data.driver %}", documents, scopeOf({})), {
    message: "content.body needs data.driver, which the event doesn't have.",
  })
})

t.test('a partial speaks the locale of its reader', async (t) => {
  const documents = {
    partials: {
      bye: { default: { text: 'Bye' }, de: { text: 'Servus' }, 'pt-BR': { text: 'Tchau' } },
    },
  }
  const read = (locale: string, tenantLocale: string) =>
    createTextCompiler(documents)
      .compile("{% render 'bye' %}", 'f', { html: false })
      .render(scopeOf({}, { user: { ...scopeOf({}).user, locale } }), tenantLocale)
  t.equal(read('de-AT', 'en'), 'Servus')
  t.equal(read('fr', 'de'), 'Servus')
  t.equal(read('pt_br', 'en'), 'Tchau')
  t.equal(read('fr', 'en'), 'Bye')
})

t.test('limits count for a text with all its partials', async (t) => {
  const limited = (source: string, sources: Record<string, string>, data: unknown = {}) => {
    const begun = process.cpuUsage()
    t.throws(() => render(source, partialsOf(sources), scopeOf(data)), { code: 'LIMIT' })
    t.ok(process.cpuUsage(begun).user < 5_000_000)
  }
  const bomb = (name: string) => `{% for i in (1..999) %}{% render '${name}' %}{% endfor %}`
  limited(bomb('a'), { a: bomb('b'), b: bomb('c'), c: 'x' })
  limited(
    "{% render 'a', s: data.s %}{% render 'a', s: data.s %}",
    { a: '{{ s }}' },
    { s: 'x'.repeat(5_000) },
  )
  limited("{% render 'a' %}", {
    a: '{% assign s = "x" %}{% for i in (1..60) %}{% assign s = s | append: s %}{% endfor %}{{ s }}',
  })
})

const HTML = {
  card: '<b title="{{ title }}">{{ text }}</b>',
  frame: '<div>{% render "card", title: title, text: text %}{% for x in list %}{{ x }}{% endfor %}</div>',
}

t.test('no data escapes the escaping of HTML, and the same input gives the same bytes', async (t) => {
  const layouts = { mail: only('<html><body>{{ content }}<p>{{ data.title }}</p></body></html>') }
  const documents = { ...partialsOf(HTML), layouts }
  const compiler = createTextCompiler(documents)
  const source = "{% render 'frame', title: data.title, text: data.text, list: data.list %}"
  const html = compiler.wrap(compiler.compile(source, 'content.html', { html: true }), 'mail', {
    field: 'content.html',
    html: true,
  })
  const plain = compiler.wrap(compiler.compile('{{ data.text }}', 'content.body', { html: false }), 'mail', {
    field: 'content.html',
    html: false,
  })
  const hostile = fc.oneof(
    fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', '{', '}', '%', '\n', 'a', ';') }),
    fc.string(),
  )
  const markup = (text: string) => text.replace(/[^<>"]/g, '')
  const empty = (text: ReturnType<typeof compiler.wrap>) =>
    markup(text.render(scopeOf({ title: 'x', text: 'x', list: [] })))
  const wanted = { html: empty(html), plain: empty(plain) }
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(hostile, hostile, fc.array(hostile, { maxLength: 3 }), (title, text, list) => {
        const scope = () => scopeOf({ title, text: `x${text}`.replace(/\n/g, ' '), list })
        const once = html.render(scope())
        if (markup(once) !== wanted.html) throw new Error(once)
        if (markup(plain.render(scope())) !== wanted.plain) throw new Error(plain.render(scope()))
        if (once !== html.render(scope())) throw new Error('twice is not the same')
        const again = createTextCompiler(documents).compile(source, 'content.html', { html: true })
        if (!once.includes(again.render(scope()))) throw new Error('another compiler says something else')
      }),
      { numRuns: 200 },
    ),
  )
})

t.test('partials take whatever they are given', async (t) => {
  const compiler = createTextCompiler(partialsOf(HTML))
  const text = compiler.compile(
    "{% render 'frame', title: data.title, text: data.text, list: data.list %}",
    'content.html',
    { html: true },
  )
  const wrong = new Set<string>()
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (title, text_, list) => {
      try {
        const once = text.render(scopeOf({ title, text: text_, list }))
        if (!once.startsWith('<div><b title="')) throw new Error(once)
      } catch (error) {
        const { code, message } = error as { code?: string; message: string }
        // a null is missing, and an object that had one can't be put out
        if (code !== 'VARIABLE_MISSING' && !/convert object/.test(message)) wrong.add(message)
      }
    }),
    { numRuns: 300 },
  )
  t.strictSame([...wrong], [])
})

t.test('layouts', async (t) => {
  const documents: TextDocuments = {
    ...partialsOf({ foot: '<a href="{{ url }}">stop</a>' }),
    layouts: {
      mail: {
        default: {
          html: '<main>{{ content }}</main>{{ user.name }}{% render "foot", url: unsubscribe.url %}',
        },
        de: { html: '<main lang="de">{{ content }}</main>' },
      },
    },
  }
  const compiler = createTextCompiler(documents)
  const user = { ...scopeOf({}).user, locale: 'en', name: '<Ada>' }
  const mail = (inner: string, html: boolean, locale = 'en', data: unknown = {}) =>
    compiler
      .wrap(compiler.compile(inner, 'content.html', { html }), 'mail', { field: 'content.html', html })
      .render(
        scopeOf(data, { user: { ...user, locale }, unsubscribe: { url: 'https://unsubscribe.invalid/' } }),
        'en',
      )
  const foot = '&lt;Ada&gt;<a href="https://unsubscribe.invalid/">stop</a>'
  t.equal(mail('<h1>{{ data.t }}</h1>', true, 'en', { t: '<i>' }), `<main><h1>&lt;i&gt;</h1></main>${foot}`)
  t.equal(mail('<h1>Hi</h1>', true, 'de-AT'), '<main lang="de"><h1>Hi</h1></main>')
  t.equal(
    mail('Hello <{{ data.t }}>,\n\nsee\nyou', false, 'en', { t: '&' }),
    `<main><p>Hello &lt;&amp;&gt;,</p>\n<p>see<br>\nyou</p></main>${foot}`,
    'a plain body becomes paragraphs',
  )
  t.test('that can not work are refused by name', async (t) => {
    const refused = (source: string, expected: RegExp, layout = 'a') => {
      const broken = createTextCompiler({ partials: {}, layouts: { a: only(source) } })
      t.throws(
        () =>
          broken.wrap(broken.compile('x', 'content.html', { html: true }), layout, {
            field: 'content.html',
            html: true,
          }),
        { name: 'RenderError', message: expected },
        source,
      )
    }
    refused('<p></p>', /the layout "a" has no place for the mail/)
    refused('{{ content }}{{ driver }}', /the layout "a" names "driver"/)
    refused('{{ content }}{% render "gone" %}', /no partial "gone"/)
    refused('{{ content', /the layout "a": output/)
    refused('{{ content }}', /no layout "b"/, 'b')
  })
  t.test('share the limits of the mail in them', async (t) => {
    const loop = '{% for i in (1..9999999) %}x{% endfor %}'
    const slow = createTextCompiler({
      layouts: { a: only(`${loop}{{ content }}`), b: only('{{ content }}') },
    })
    const inner = slow.compile('{{ data.s }}', 'content.html', { html: true })
    const big = (layout: string, length: number) =>
      slow
        .wrap(inner, layout, { field: 'content.html', html: true })
        .render(scopeOf({ s: 'x'.repeat(length) }))
    t.throws(() => big('a', 1), { code: 'LIMIT' })
    t.equal(big('b', 262_144).length, 262_144)
    const framed = createTextCompiler({ layouts: { b: only('<p>{{ content }}</p>') } })
    const full = framed.compile('{{ data.s }}', 'content.html', { html: true })
    t.throws(
      () =>
        framed
          .wrap(full, 'b', { field: 'content.html', html: true })
          .render(scopeOf({ s: 'x'.repeat(262_144) })),
      { code: 'LIMIT' },
    )
  })
})
