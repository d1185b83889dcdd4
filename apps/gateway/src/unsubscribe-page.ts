import { createHash } from 'node:crypto'

/** What the page tells, and what its button does. */
export interface UnsubscribePage {
  title: string
  text: string
  /** Where the button posts to, and what it says; without it there is nothing to do. */
  button?: { action: string; label: string }
}

const STYLE = `:root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;
font:1.0625rem/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}main{max-width:30rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 .75rem}p{margin:0 0 1.5rem}button{font:inherit;padding:.625rem 1.25rem;border-radius:.5rem;
border:1px solid CanvasText;background:CanvasText;color:Canvas;cursor:pointer}button:focus-visible{outline:3px solid Highlight;outline-offset:3px}`

export interface RenderedPage {
  html: string
  /** The only things that the page may do. */
  contentSecurityPolicy: string
}

/** A page of one sentence and one button: no script, nothing from elsewhere, works by keyboard. */
export function renderUnsubscribePage({ title, text, button }: UnsubscribePage): RenderedPage {
  const form =
    button === undefined
      ? ''
      : `<form method="post" action="${escaped(button.action)}"><button>${escaped(button.label)}</button></form>`
  return {
    html: `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${escaped(title)}</h1><p>${escaped(text)}</p>${form}</main></body></html>`,
    contentSecurityPolicy: `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
}
