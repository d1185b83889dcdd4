import t from 'tap'
import { safeUrl } from './links.js'

t.test('http, https and places of this origin are safe', async (t) => {
  for (const url of [
    'https://example.com/a?b#c',
    'http://example.com',
    '/rides/9',
    'rides',
    '#top',
    '?page=2',
    '//example.com',
  ])
    t.equal(safeUrl(url), url)
})

t.test('everything else is none, however it is written', async (t) => {
  const urls = [
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'java\tscript:alert(1)',
    '\u0001javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'blob:https://example.com/1',
    'file:///etc/passwd',
    'mailto:ada@example.com',
    'https://',
    '',
    null,
    undefined,
  ]
  for (const url of urls) t.equal(safeUrl(url), undefined, JSON.stringify(url))
})
