import t from 'tap'
import { compileWorkflow } from './compile.js'
import { type StoredTemplate, templateProblem, templatesOf, usersOfTemplate } from './templates.js'

const partial = (key: string, text: string): StoredTemplate => ({
  key,
  kind: 'partial',
  locales: { default: { text } },
})
const STORED: StoredTemplate[] = [
  partial('car', '{{ car.name }}'),
  partial('ride', "{% render 'car', car: ride.car %}"),
  { key: 'frame', kind: 'layout', locales: { default: { html: '{{ content }}{% render "foot" %}' } } },
  partial('foot', 'Bye'),
  {
    key: 'receipt',
    kind: 'content',
    locales: {
      default: { body: "{% render 'ride', ride: data %}", layout: 'frame' },
      de: { body: "{% liquid\n render 'ride', ride: data\n%}!" },
    },
  },
]
const workflow = (key: string, part: object) => ({
  key,
  on: 'a',
  to: 'data.who',
  content: { title: 'x' },
  steps: ['inbox' as const],
  ...part,
})
const RIDES = workflow('rides', {
  steps: [
    {
      experiment: { cohorts: [{ name: 'all', share: 100, steps: [{ email: { template: 'receipt' } }] }] },
    },
  ],
})
const NEWS = workflow('news', { locales: { de: { layout: 'frame', body: '{% render "foot" %}' } } })

t.test('who names a template is known before it is taken off', async (t) => {
  const users = (kind: StoredTemplate['kind'], key: string) =>
    usersOfTemplate({ kind, key }, { workflows: [RIDES, NEWS], templates: STORED })
  t.strictSame(users('content', 'receipt'), { workflows: ['rides'], templates: [] })
  t.strictSame(users('layout', 'frame'), { workflows: ['news'], templates: ['receipt'] })
  t.strictSame(users('partial', 'foot'), { workflows: ['news'], templates: ['frame'] })
  t.strictSame(users('partial', 'ride'), { workflows: [], templates: ['receipt'] })
  t.strictSame(users('partial', 'car'), { workflows: [], templates: ['ride'] })
  t.strictSame(users('partial', 'receipt'), { workflows: [], templates: [] }, 'kinds have names of their own')
  const prose = workflow('prose', { content: { title: 'x', messages: { template: 'receipt' } } })
  t.strictSame(
    usersOfTemplate(STORED[4] as StoredTemplate, { workflows: [prose], templates: [] }).workflows,
    [],
  )
})

t.test('a template is judged with all that it needs', async (t) => {
  const problem = (change: StoredTemplate) =>
    templateProblem(change, templatesOf([...STORED, change]))?.message
  for (const stored of STORED) t.equal(problem(stored), undefined, stored.key)
  t.match(problem(partial('foot', "{% render 'gone' %}")), /no partial "gone"/)
  t.match(problem(partial('car', "{% render 'ride', ride: x %}")), /circle: car → ride → car/)
  t.match(problem({ key: 'a', kind: 'layout', locales: { default: { html: 'x' } } }), /no place for the mail/)
  t.match(problem({ key: 'a', kind: 'layout', locales: { de: { html: '{{ content }}' } } }), /has no default/)
  const content = (texts: object) => problem({ key: 'a', kind: 'content', locales: { en: texts } })
  t.match(content({ title: '{{ broken' }), /^locales\.en\.title/)
  t.match(content({ layout: 'gone', html: '<p>' }), /no layout "gone"/)
  t.equal(content({ body: 'stop: {{ unsubscribe.url }}' }), undefined)
})

t.test('a workflow renders its template, layout and partials', async (t) => {
  const { steps } = compileWorkflow(RIDES, { version: 1, templates: templatesOf(STORED) })
  const [texts] = steps.flatMap((step) => ('texts' in step && step.texts !== undefined ? [step.texts] : []))
  const scope = {
    data: { car: { name: 'Ioniq' } },
    user: { id: 'ada', name: null, email: null, locale: 'de', timezone: null },
    event: { id: 'e', type: 'a', source: '/s', subject: null, time: null },
  }
  t.strictSame(texts?.render(scope, 'en'), { title: 'x', body: 'Ioniq!', html: '<p>Ioniq!</p>Bye' })
})
