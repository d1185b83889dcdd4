import { createHash } from 'node:crypto'

/** What the page tells, and what its button does. */
export interface UnsubscribePage {
  title: string
  text: string
  /** Where the button posts to, and what it says; without it there is nothing to do. */
  button?: { action: string; label: string }
}

/** `asked`: nothing is done yet. `gone`: the link isn't ours, or its reader is deleted. */
export type UnsubscribeState = 'asked' | 'off' | 'on' | 'critical' | 'gone'

/**
 * What is said in a state. Addresses of buttons are relative, since a proxy may serve all of it under a path.
 *
 * @param name of the category; null: all mails
 */
export function unsubscribePage(
  state: UnsubscribeState,
  name: string | null,
  token: string,
): UnsubscribePage {
  const mails = name === null ? 'mails' : `mails of “${name}”`
  const rest =
    name === null
      ? 'What you switched on yourself still comes, and what can’t be switched off.'
      : 'Everything else stays as it is.'
  switch (state) {
    case 'asked':
      return {
        title: 'Unsubscribe?',
        text: `You will get no ${mails} any more. ${rest}`,
        button: { action: token, label: 'Unsubscribe' },
      }
    case 'off':
      return {
        title: 'Unsubscribed',
        text: `You get no ${mails} any more. ${rest}`,
        button: { action: `${token}/undo`, label: 'Switch them on again' },
      }
    case 'on':
      return {
        title: 'Switched on again',
        text: `You get ${mails} again.`,
        button: { action: `../${token}`, label: 'Unsubscribe' },
      }
    case 'critical':
      return {
        title: 'These can’t be switched off',
        text: `Whoever sends ${mails} says that you need them, like a code to sign in with.`,
      }
    case 'gone':
      return {
        title: 'This link leads nowhere',
        text: 'It is incomplete, or its reader is not known here any more. Nothing was changed.',
      }
  }
}

const STYLE = `:root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;
font:1.0625rem/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}main{max-width:30rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 .75rem}p{margin:0 0 1.5rem;overflow-wrap:anywhere}button{font:inherit;padding:.625rem 1.25rem;border-radius:.5rem;
border:1px solid CanvasText;background:CanvasText;color:Canvas;cursor:pointer}button:focus-visible{outline:3px solid Highlight;outline-offset:3px}`

/** The only things that the page may do. */
export function unsubscribePolicy(): string {
  const style = createHash('sha256').update(STYLE).digest('base64')
  return `default-src 'none'; style-src 'sha256-${style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`
}

/** A page of one sentence and one button: no script, nothing from elsewhere, works by keyboard. */
export function renderUnsubscribePage({ title, text, button }: UnsubscribePage): string {
  const form =
    button === undefined
      ? ''
      : `<form method="post" action="${escaped(button.action)}"><button>${escaped(button.label)}</button></form>`
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${escaped(title)}</h1><p>${escaped(text)}</p>${form}</main></body></html>`
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
