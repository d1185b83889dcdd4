import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { bounceLocalPart, openSender, readBounceAddress } from '../src/index.js'
import { verifyDkim } from './dkim.js'
import { HASTY, NOBODY, never, openWorld, outgoing, words } from './fixtures.js'

const { simulators, settings, registry, close } = await openWorld()
t.teardown(close)
const { smtp, inbox } = simulators
const rawOf = (did: string) =>
  inbox.list().find((message) => message.did === did)?.raw as {
    source: string
    from: string
    headers: Record<string, string>
  }

t.test('e-mail', async (t) => {
  const sender = registry.open('smtp', 'smtp-1', simulators.credentials.smtp)
  const hasty = openSender('smtp', simulators.credentials.smtp, { ...settings, timeouts: HASTY })
  t.teardown(() => hasty[Symbol.asyncDispose]())
  const to = (email: string, message = {}) => outgoing({ kind: 'email', email, name: 'Ana' }, message)
  const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
  t.beforeEach(() => smtp.faults.heal())

  t.test(
    'arrives with a text part, the same Message-ID on every attempt, and one-click unsubscribe',
    async (t) => {
      const one = to('ana@mail.example', {
        html: '<p>Two minutes</p>',
        url: 'https://rides.example/1',
        listUnsubscribeUrl: 'https://carillon.example/u/1',
      })
      t.same(words(await send(one, { ...one, attempt: 2 })), ['accepted', 'accepted'])
      const [first, second] = inbox.list().filter((message) => message.did === one.deliveryId)
      t.match(first, {
        title: 'Your ride',
        body: /two minutes[\s\S]*https:\/\/rides/,
        html: /<p>/,
        nid: one.notificationId,
        rt: one.receiptToken,
      })
      t.match(rawOf(one.deliveryId).headers, {
        'list-unsubscribe': '<https://carillon.example/u/1>',
        'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
        'auto-submitted': 'auto-generated',
      })
      const idOf = (message: typeof first) => (message?.raw as { messageId: string } | undefined)?.messageId
      t.equal(idOf(first), `<${one.deliveryId}@carillon.example>`)
      t.equal(idOf(first), idOf(second))
    },
  )

  t.test('signs what one-click unsubscribe needs signed', async (t) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    const dkim = { dkimDomain: 'carillon.example', dkimSelector: 's1', dkimPrivateKey: privateKey }
    const signing = registry.open('smtp', 'smtp-dkim', { ...smtp.credentials, ...dkim })
    const one = to('ana@mail.example', {
      body: 'Ünïcode and a line that is long enough to be folded by whoever folds lines. '.repeat(5),
      html: '<p>.dot\n.dot</p>',
      listUnsubscribeUrl: `https://carillon.example/u/${'1'.repeat(120)}`,
    })
    t.same(words(await signing.send([one], never())), ['accepted'])
    const { source, headers } = rawOf(one.deliveryId)
    t.match(headers['dkim-signature'], /d=carillon\.example;.*s=s1;/)
    const { valid, signed } = verifyDkim(source, publicKey)
    t.ok(valid, 'the signature holds')
    const fields = [
      'from',
      'to',
      'subject',
      'date',
      'message-id',
      'list-unsubscribe',
      'list-unsubscribe-post',
    ]
    t.same(
      fields.filter((field) => !signed.includes(field)),
      [],
    )
    for (const [from, into] of [
      ['carillon.example/u/1', 'evil.example/u/1'],
      ['List-Unsubscribe=One-Click', 'List-Unsubscribe=Two-Click'],
      ['line that is long', 'line that is gone'],
    ] as const) {
      t.notOk(verifyDkim(source.replace(from, into), publicKey).valid, `not with ${into}`)
    }
  })

  t.test('always has a text, also when only HTML was written', async (t) => {
    const text = async (message: object) => {
      const one = to('ana@mail.example', { title: 'Your ride', body: '', ...message })
      t.same(words(await send(one)), ['accepted'])
      t.match(rawOf(one.deliveryId).source, /Content-Type: text\/plain/)
      return inbox
        .list()
        .find(({ did }) => did === one.deliveryId)
        ?.body.trim()
    }
    const html =
      '<head><style>p{}</style><title>x</title></head><header>Rides</header><p>Ana &amp; Bo &#8211; 2&nbsp;min<br>away</p><a href="https://r.example/1">See</a><script>if (1 < 2) x()</script>'
    t.equal(await text({ html }), 'RidesAna & Bo – 2 min\naway\nSee: https://r.example/1')
    t.equal(await text({ html: '<style>' }), 'Your ride', 'nothing is said in it')
    t.equal(await text({ html: '<p>Hi</p>', body: 'Hello' }), 'Hello')
    t.equal(await text({ html: '<p>Hi</p>', overrides: { smtp: { text: '' } } }), 'Hi')
    t.equal(await text({}), 'Your ride')
  })

  t.test('comes back to an address that leads to its delivery', async (t) => {
    const key = Buffer.alloc(32, 9)
    const own = registry.open('smtp', 'smtp-verp', { ...smtp.credentials, bounceDomain: 'bounce.example' })
    const one = to('ana@mail.example')
    const notificationId = one.deliveryId.replace(/.$/, 'f')
    const ids = { notificationId, deliveryId: one.deliveryId }
    const bounceTo = bounceLocalPart(key, { tenant: 'acme', ...ids })
    t.same(words(await own.send([{ ...one, bounceTo }], never())), ['accepted'])
    const { from } = rawOf(one.deliveryId)
    t.equal(from, `${bounceTo}@bounce.example`)
    t.match(readBounceAddress(key, from), ids)
    const unsigned = to('ana@mail.example')
    await own.send([unsigned], never())
    t.equal(rawOf(unsigned.deliveryId).from, `bounce+${unsigned.deliveryId}@bounce.example`)
    t.throws(() => registry.open('smtp', 'x', { ...smtp.credentials, bounceDomain: 'a.example> SIZE=1' }), {
      message: /bounceDomain/,
    })
  })

  t.test('lets no override lead to a file, a URL or another recipient', async (t) => {
    const one = to('ana@mail.example', {
      overrides: {
        smtp: {
          subject: 'Mine\r\nBcc: eve@mail.example',
          text: { path: '/etc/passwd' },
          html: { href: 'https://127.0.0.1/' },
          inReplyTo: '<a@b>\r\nX-Evil: 1',
          references: '<a@b>\r\nX-Evil: 1',
          priority: 'high\r\nX-Evil: 1',
          to: 'eve@mail.example',
          bcc: 'eve@mail.example',
          envelope: { from: 'x@y.example', to: ['eve@mail.example'] },
          headers: { 'x-evil': '1' },
          attachments: [{ path: '/etc/passwd' }],
          raw: 'X-Evil: 1\r\n\r\n',
        },
      },
      listUnsubscribeUrl: 'https://carillon.example/u/1>\r\nX-Evil: 1',
    })
    const before = inbox.list().length
    t.same(words(await send({ ...one, receiptToken: 'a\r\nX-Evil: 1' })), ['accepted'])
    t.equal(inbox.list().length, before + 1)
    const { headers, source } = rawOf(one.deliveryId)
    t.equal(headers['x-evil'], undefined)
    t.equal(headers.bcc, undefined)
    t.match(headers.subject, /^Mine Bcc/)
    t.notMatch(source, /root:|attachment/)
  })

  t.test('lets no text start a header or add a recipient', async (t) => {
    const before = smtp.counters.mails
    const sneaky = to('bo@mail.example', {
      subject: 'Hi\r\nBcc: eve@mail.example',
      replyTo: 'x@y.example\r\nX-Evil: 1',
    })
    const verdicts = await send(
      sneaky,
      to('a@b.example, eve@mail.example'),
      to('a@b.example\r\nRCPT TO:<eve@mail.example>'),
      to('"a@b.example"@mail.example'),
      to('nobody'),
    )
    t.same(words(verdicts), ['accepted', ...Array(4).fill('address INVALID_ADDRESS')])
    t.equal(smtp.counters.mails, before + 1)
    const { headers } = rawOf(sneaky.deliveryId)
    t.equal(headers.bcc, undefined)
    t.equal(headers['x-evil'], undefined)
    t.match(headers.subject, /^Hi Bcc: eve/)
  })

  t.test(
    'tells a dead mailbox from a full one, a busy server, a refused mail and a refused sender',
    async (t) => {
      const faults: [number, string, string | RegExp][] = [
        [550, '5.1.1 no such user', 'address SMTP_550 5.1.1'],
        [552, '5.2.2 mailbox full', 'address SMTP_552 5.2.2'],
        [450, '4.2.0 greylisted', 'retry SMTP_450 4.2.0'],
        // the line and the end of the connection come in any order
        [421, '4.3.2 closing', /^retry (SMTP_421 4\.3\.2|ECONNECTION)$/],
        [554, '5.7.1 looks like spam', 'message SMTP_554 5.7.1'],
        [550, '5.7.1 blocked', 'message SMTP_550 5.7.1'],
      ]
      for (const [status, body, expected] of faults) {
        smtp.faults.rules.push({ times: 1, reply: { status, body } })
        t.match(words(await send(to('ana@mail.example'))), [expected])
      }
    },
  )

  t.test('gives a batch with one dead mailbox its own verdicts', async (t) => {
    const verdicts = await send(to('a@mail.example'), to('bounce-550@mail.example'), to('c@mail.example'))
    t.match(words(verdicts), ['accepted', /^address SMTP_550/, 'accepted'])
  })

  t.test('is safe to repeat when the server hangs or hangs up before the mail was sent', async (t) => {
    smtp.faults.rules.push({ times: 1, reply: 'hang' })
    t.match(await hasty.send([to('ana@mail.example')], never()), [{ kind: 'retry' }])
    const mails = smtp.counters.mails
    smtp.faults.rules.push({ times: 1, reply: 'reset' })
    t.match(await send(to('ana@mail.example')), [{ kind: 'retry' }])
    t.equal(smtp.counters.mails, mails)
  })

  t.test('may have arrived when the server hangs up while it takes the mail', async (t) => {
    smtp.contentFaults.rules.push({ times: 1, reply: 'reset' })
    t.match(words(await send(to('ana@mail.example'))), [/^unknown /])
    smtp.contentFaults.rules.push({ times: 1, reply: 'hang' })
    t.match(words(await hasty.send([to('ana@mail.example')], never())), [/^unknown /])
    smtp.contentFaults.rules.push({ times: 1, reply: { status: 452, body: '4.3.1 disk full' } })
    t.same(words(await send(to('ana@mail.example'))), ['retry SMTP_452 4.3.1'])
  })

  t.test('blames the credentials for a wrong password and retries a server that is away', async (t) => {
    const credentials = simulators.smtp.credentials
    const wrong = registry.open('smtp', 'smtp-wrong', { ...credentials, password: 'no' })
    t.match(words(await wrong.send([to('ana@mail.example')], never())), [/^config SMTP_535/])
    const { ca: _none, ...unsure } = settings
    const untrusting = openSender('smtp', credentials, unsure)
    t.teardown(() => untrusting[Symbol.asyncDispose]())
    t.same(words(await untrusting.send([to('ana@mail.example')], never())), ['config TLS_FAILED'])
    const away = registry.open('smtp', 'smtp-away', { ...credentials, ...NOBODY })
    t.match(await away.send([to('ana@mail.example')], never()), [{ kind: 'retry' }])
  })
})
