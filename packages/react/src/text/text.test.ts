import t from 'tap'
import { ar } from './ar.js'
import { de } from './de.js'
import { en } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'
import { createText } from './text.js'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const before = (seconds: number) => new Date(NOW - seconds * 1_000)

t.test('every language has every text, every placeholder and every plural form it needs', async (t) => {
  for (const [locale, messages] of Object.entries({ ar, de, en, es, fr })) {
    const { pluralCategories } = new Intl.PluralRules(locale).resolvedOptions()
    for (const [name, english] of Object.entries(en)) {
      const words = messages[name as keyof typeof en]
      if (typeof english === 'string') {
        t.type(words, 'string', `${locale} ${name}`)
        t.same(placeholders(words as string), placeholders(english), `${locale} ${name}`)
        t.not(words, '', `${locale} ${name}`)
      } else {
        const missing = pluralCategories.filter((form) => !(form in (words as object)))
        t.same(missing, [], `${locale} ${name}`)
      }
    }
  }
})

t.test('the number chooses the form', async (t) => {
  const text = createText('ar')
  const { unreadCount } = text.messages
  t.same(
    [0, 1, 2, 3, 11, 100].map((count) => text.plural(unreadCount, count)),
    [
      'لا إشعارات غير مقروءة',
      'إشعار واحد غير مقروء',
      'إشعاران غير مقروءين',
      `${text.number(3)} إشعارات غير مقروءة`,
      `${text.number(11)} إشعارًا غير مقروء`,
      `${text.number(100)} إشعار غير مقروء`,
    ],
  )
  t.equal(createText('en').plural({ one: '{count} bell', other: '{count} bells' }, 1_234), '1,234 bells')
})

t.test('how long ago it was, in the words of the language', async (t) => {
  const { ago } = createText('en')
  t.same(
    [-90, 0, 59, 60, 3_599, 3_600, 86_399, 86_400, 6 * 86_400].map((seconds) => ago(before(seconds), NOW)),
    ['now', 'now', 'now', '1 min. ago', '59 min. ago', '1 hr. ago', '23 hr. ago', 'yesterday', '6 days ago'],
  )
  t.equal(ago(before(8 * 86_400), NOW), 'Nov 13')
  t.equal(ago(before(400 * 86_400), NOW), 'Oct 17, 2025')
  t.equal(createText('de').ago(before(3_600), NOW), 'vor 1 Std.')
})

t.test('a locale that nobody knows is English, and yours come before ours', async (t) => {
  t.equal(createText('xx-nonsense-').messages.archive, 'Archive')
  t.equal(createText('pt-BR').messages.archive, 'Archive')
  t.equal(createText('pt-BR', { archive: 'Arquivar' }).messages.archive, 'Arquivar')
  t.equal(createText('de-AT').messages.archive, 'Archivieren')
  t.same(
    ['ar-EG', 'he', 'de', 'arn'].map((locale) => createText(locale).dir),
    ['rtl', 'rtl', 'ltr', 'ltr'],
  )
})

function placeholders(words: string): string[] {
  return (words.match(/\{\w+\}/g) ?? []).sort()
}
