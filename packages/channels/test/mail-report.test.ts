import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import {
  type MailReport,
  provenDelivery,
  readMailReport,
  signReceiptToken,
  tenantMark,
} from '../src/index.js'
import { meet, to } from './mail-server.js'
import { ANA, DELIVERY, EXPECTED, NOTIFICATION } from './mails.js'

const KEY = Buffer.alloc(32, 7)
const FOLDER = new URL('../../test/mails/', import.meta.url)
const PROVEN = { tenantMark: tenantMark('acme'), notificationId: NOTIFICATION, deliveryId: DELIVERY }
const mailOf = (name: string) => readFileSync(new URL(`${name}.eml`, FOLDER))
const withCrlf = (raw: Buffer) => Buffer.from(raw.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1')

const proof = (report: MailReport) => provenDelivery(KEY, report)

t.test('what each server’s report tells is understood, with any line ends', async (t) => {
  t.same(
    readdirSync(FOLDER).sort(),
    Object.keys(EXPECTED)
      .map((name) => `${name}.eml`)
      .sort(),
  )
  for (const [name, { report, proven }] of Object.entries(EXPECTED)) {
    const raw = mailOf(name)
    const found = await readMailReport(raw)
    t.match(found, report, name)
    t.match(proof(found), proven ? PROVEN : undefined, `${name}: proof`)
    t.same(await readMailReport(withCrlf(raw)), found, `${name} with CRLF`)
  }
})

t.test('the address in the envelope goes before what the mail says', async (t) => {
  const raw = Buffer.from(
    mailOf('only-the-receipt')
      .toString()
      .replace(/^X-Carillon.*(\n .*)?\n/gm, ''),
  )
  const bare = await readMailReport(raw)
  t.match(bare, { kind: 'bounce', deliveryId: DELIVERY }, 'a Message-ID is a claim')
  t.equal(proof(bare), undefined, 'and no proof')
  const verp = /^Delivered-To: (\S+)/m.exec(mailOf('qmail').toString())?.[1] ?? ''
  t.match(proof(await readMailReport(raw, verp.toUpperCase())), PROVEN)
})

t.test('nothing proves a delivery but our signature', async (t) => {
  const report = await readMailReport(mailOf('qmail'))
  t.equal(provenDelivery(randomBytes(32), report), undefined)
  t.match(provenDelivery([randomBytes(32), KEY], report), PROVEN)
  const token = await readMailReport(mailOf('only-the-receipt'))
  t.match(provenDelivery(KEY, token), { ...PROVEN, tenant: 'acme' })
  t.equal(provenDelivery(KEY, token, Date.UTC(2101, 0)), undefined, 'a token ends')
  t.equal(provenDelivery(KEY, {}), undefined)
})

t.test('a mail of ours that is returned in any wrapping proves its delivery', async (t) => {
  const { server, send } = await meet(t, () => undefined, { bounceDomain: 'bounce.example' })
  const ids = { tenant: 't'.repeat(64), notificationId: NOTIFICATION, deliveryId: DELIVERY }
  const receiptToken = signReceiptToken(KEY, { ...ids, expiresAt: Date.now() + 60_000 })
  t.match(await send({ ...to(ANA), ...ids, receiptToken }), [{ kind: 'accepted' }])
  const returned = server.mails[0]?.content ?? ''
  const head = `From: MAILER-DAEMON@a.example\r\nTo: bells@a.example\r\nSubject: failure notice\r\n`
  const said = '<ana@mail.example>: 550 5.1.1 User unknown\r\n'
  const wrapped = (type: string, body: string) =>
    `${head}Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n${said}\r\n--b\r\nContent-Type: ${type}\r\n\r\n${body}\r\n--b--\r\n`
  const base64 = Buffer.from(returned).toString('base64').replace(/.{76}/g, '$&\r\n')
  for (const mail of [
    `${head}\r\n${said}\r\n--- Below this line is a copy of the message.\r\n\r\n${returned}`,
    `${head}\r\n${said}\r\n${returned.replace(/^/gm, '> ')}`,
    wrapped('message/rfc822', returned),
    wrapped('message/rfc822\r\nContent-Disposition: attachment', returned),
    wrapped('message/rfc822\r\nContent-Transfer-Encoding: base64', base64),
    wrapped('text/rfc822-headers', returned.split('\r\n\r\n')[0] ?? ''),
  ]) {
    const report = await readMailReport(Buffer.from(mail))
    t.match(report, { kind: 'bounce', status: '5.1.1', deliveryId: DELIVERY }, mail.slice(0, 400))
    t.match(provenDelivery(KEY, report), ids)
  }
})

t.test('no mail, however hostile, is thrown at or waited for', async (t) => {
  const head = 'From: MAILER-DAEMON@evil.example\r\nSubject: failure notice\r\nMIME-Version: 1.0\r\n'
  const nested = (depth: number, end: boolean) => {
    let text = head
    for (let level = 0; level < depth; level++) {
      text += `Content-Type: multipart/report; boundary="b${level}"\r\n\r\n--b${level}\r\n`
    }
    text += 'Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n'
    for (let level = depth - 1; end && level >= 0; level--) text += `\r\n--b${level}--\r\n`
    return text
  }
  const messages = (depth: number) => `${head}${'Content-Type: message/rfc822\r\n\r\n'.repeat(depth)}`
  const five = 5_000_000
  const report = (part: string) =>
    `${head}Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n${part}\r\n--b--`
  const hostile: Record<string, string> = {
    empty: '',
    'a hundred nested parts': nested(100, true),
    'a hundred nested parts that never end': nested(100, false),
    'five thousand nested parts': nested(5000, true),
    'five thousand nested mails': messages(5000),
    '5 MB of text': `${head}\r\n${'word '.repeat(five / 5)}`,
    '5 MB in one line': `${head}\r\n${'x'.repeat(five)}`,
    '5 MB of one header': `Subject: ${'y'.repeat(five)}`,
    '5 MB of headers': 'X-A: b\r\n'.repeat(five / 8),
    '5 MB of <': `${head}Content-Type: text/html\r\n\r\n${'<'.repeat(five)}`,
    '5 MB of <a': `${head}Content-Type: text/html\r\n\r\n${'<a '.repeat(five / 3)}`,
    '5 MB of &': `${head}Content-Type: text/html\r\n\r\n${'&amp;&#x'.repeat(five / 8)}`,
    '5 MB of digits': `${head}\r\n${'5.1.'.repeat(five / 4)}`,
    '5 MB of brackets': `From: ${'<('.repeat(five / 2)}\r\n\r\n`,
    '5 MB of encoded words': `Subject: ${'=?utf-8?q?=41?= '.repeat(five / 16)}\r\n\r\n`,
    '5 MB of boundaries': `${head}Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\n'.repeat(five / 7)}`,
    '5 MB of blocks': report('Action: failed\r\nStatus: 5.1.1\r\n\r\n'.repeat(five / 32)),
    '5 MB of folds': report(`Diagnostic-Code: smtp;${'\r\n 550'.repeat(five / 6)}\r\nAction: failed`),
    '5 MB of spaces': report(`Action:${' '.repeat(five)}failed\r\nStatus: 5.1.1`),
    '5 MB of quota': `${head}\r\n${'quota mailbox '.repeat(five / 14)}`,
    '5 MB of @': `${head}\r\n${'a@'.repeat(five / 2)}`,
    '5 MB of bounce addresses': `${head}To: ${'baaaa'.repeat(five / 5)}\r\n\r\n${'b'.repeat(five)}@`,
    'a boundary of itself': `${head}Content-Type: multipart/mixed; boundary="${'-'.repeat(10_000)}"\r\n\r\n${'-'.repeat(five)}`,
    'a parameter without an end': `${head}Content-Type: multipart/report; boundary="${'\\"'.repeat(50_000)}\r\n\r\n`,
    'five hundred continuations': `${head}Content-Type: text/plain;${Array.from({ length: 500 }, (_, n) => ` name*${n}*=%41;`).join('')}\r\n\r\n`,
    'a prototype': report('__proto__: failed\r\nconstructor: x\r\nAction: constructor\r\nStatus: __proto__'),
    'a charset that is none': `${head}Content-Type: text/plain; charset="x-none"\r\nContent-Transfer-Encoding: x\r\n\r\n550 5.1.1`,
    'broken base64': report('').replace(
      'delivery-status\r\n',
      'delivery-status\r\nContent-Transfer-Encoding: base64\r\n',
    ),
  }
  for (const [name, text] of Object.entries(hostile)) {
    const raw = Buffer.from(text)
    const before = process.cpuUsage()
    const found = await readMailReport(raw, 'x'.repeat(100_000))
    const { user, system } = process.cpuUsage(before)
    const ms = (user + system) / 1000
    t.ok(ms < 1000, `${name}: ${ms.toFixed(0)} ms of CPU`)
    t.equal(proof(found), undefined)
    t.ok(JSON.stringify(found).length < 3000, `${name}: no more is handed on than a line`)
  }
})

t.test('any bytes make a report', async (t) => {
  const mails = Object.keys(EXPECTED).map(mailOf)
  const mutated = fc
    .tuple(
      fc.constantFrom(...mails),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 40 }),
      fc.tuple(fc.nat(), fc.nat()),
    )
    .map(([mail, changes, [from, length]]) => {
      const raw = Buffer.from(mail)
      for (const [at, byte] of changes) raw[at % raw.length] = byte
      const cut = from % raw.length
      return Buffer.concat([raw.subarray(0, cut), raw.subarray(cut + (length % 200))])
    })
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, fc.uint8Array({ maxLength: 2000 }).map(Buffer.from)), async (raw) => {
      const found = await readMailReport(raw)
      const delivery = proof(found)
      return delivery === undefined || delivery.deliveryId === DELIVERY
    }),
    { numRuns: 300 },
  )
  t.pass()
})
