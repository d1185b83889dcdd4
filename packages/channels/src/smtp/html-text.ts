const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
}
const MAX_HTML = 200_000
/** Elements of which nothing is shown. */
const HIDDEN = ['head', 'style', 'script']

/**
 * What a mail's HTML says, for readers that show no HTML: tags out, paragraphs and breaks as lines, links with their
 * address behind them. Rough on purpose: it stands in where nobody wrote a text.
 */
export function textOfHtml(html: string): string {
  return HIDDEN.reduce(without, html.slice(0, MAX_HTML))
    .replace(/\s+/g, ' ')
    .replace(
      /<a\b[^<>]*\bhref\s*=\s*"(https?:[^"<>]*)"[^<>]*>([^<]*)<\/a>/gi,
      (_all, url: string, said: string) =>
        said.trim() === '' || said.trim() === url ? url : `${said.trim()}: ${url}`,
    )
    .replace(/<(br|\/p|\/div|\/h[1-6]|\/li|\/tr)\b[^<>]*>/gi, '\n')
    .replace(/<[^<>]*>/g, '')
    .replace(
      /&(#x?[0-9a-f]{1,6}|[a-z]{2,6});/gi,
      (all, name: string) => NAMED[name.toLowerCase()] ?? numbered(name) ?? all,
    )
    .replace(/[ \t]*\n[ \t]*/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

/** The text without every such element; one that never ends takes the rest with it. */
function without(html: string, element: string): string {
  const lower = html.toLowerCase()
  const kept: string[] = []
  let from = 0
  for (let at = opening(lower, element, 0); at !== -1; at = opening(lower, element, from)) {
    kept.push(html.slice(from, at))
    const end = lower.indexOf(`</${element}`, at)
    if (end === -1) return kept.join(' ')
    from = end
  }
  return [...kept, html.slice(from)].join(' ')
}

function opening(lower: string, element: string, from: number): number {
  let at = lower.indexOf(`<${element}`, from)
  // <header> is not <head>
  while (at !== -1 && /[a-z]/.test(lower[at + element.length + 1] ?? ''))
    at = lower.indexOf(`<${element}`, at + 1)
  return at
}

function numbered(name: string): string | undefined {
  if (!name.startsWith('#')) return undefined
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10)
  return code >= 32 && code <= 0x10ffff ? String.fromCodePoint(code) : ' '
}
