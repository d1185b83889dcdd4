import fc from 'fast-check'
import t from 'tap'
import {
  askSubject,
  authoriseSubject,
  latestSubject,
  parseChannelName,
  presenceSubject,
  sessionSubject,
} from './realtime.js'

t.test('a channel is named by its kind, its namespace and its id', (t) => {
  t.same(parseChannelName('room:ride-9'), { kind: 'room', id: 'ride-9', namespace: 'ride' })
  t.same(parseChannelName('latest:cab'), { kind: 'latest', id: 'cab', namespace: 'cab' })
  t.same(parseChannelName('room:ride-9-b'), { kind: 'room', id: 'ride-9-b', namespace: 'ride' })
  const longest = 'a'.repeat(64)
  t.same(parseChannelName(`room:${longest}`), { kind: 'room', id: longest, namespace: longest })
  for (const name of [
    'user',
    'room:',
    'room:-9',
    'room:Ride',
    'room:a.b',
    'room:*',
    'room:>',
    'room:a\n',
    'rooms:a',
    'other:a',
    `room:${longest}a`,
    `room:a-${'b'.repeat(63)}`,
  ]) {
    t.equal(parseChannelName(name), undefined, JSON.stringify(name))
  }
  t.end()
})

t.test('no name leads out of its place in a subject', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((id) => `room:${id}`),
      ),
      (name) => {
        const parsed = parseChannelName(name)
        if (parsed === undefined) return true
        const subjects = [latestSubject('acme', parsed.id), presenceSubject('acme', parsed.id)]
        return subjects.every((subject) => subject.split('.').length === 4 && !/[*>\s]/.test(subject))
      },
    ),
  )
  t.equal(askSubject('inbox', 'acme'), 'ask.inbox.acme')
  t.equal(authoriseSubject('acme', 'ride'), 'ask.channel.acme.ride')
  t.equal(sessionSubject('0a1b'), 'ask.session.0a1b')
  for (const make of [
    () => askSubject('inbox', 'a.b'),
    () => authoriseSubject('acme', '*'),
    () => sessionSubject('>'),
    () => latestSubject('acme', ''),
  ]) {
    t.throws(make, { code: 'TOKEN_INVALID' })
  }
  t.end()
})
