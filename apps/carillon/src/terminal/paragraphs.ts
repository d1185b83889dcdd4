/** Lines of at most `width` characters, broken between words; a longer word stands alone. */
export function wrapped(text: string, width: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/[ \n]+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join('\n')
}

/** What happened at a moment, milliseconds. */
export interface Moment {
  at: number
  what: string
  why: string
}

const TIME_WIDTH = 'HH:MM:SS.mmm  '.length

/**
 * A line a moment, in UTC: `12:00:01.123  push to Ada's Pixel: attempt 1 through fcm  accepted`. Each day begins with
 * its date. `width`: longer ones are broken and indented.
 */
export function timeLine(moments: readonly Moment[], width: number): string {
  const lines: string[] = []
  let today = ''
  for (const { at, what, why } of moments) {
    const [day = '', time = ''] = new Date(at).toISOString().slice(0, -1).split('T')
    if (day !== today) lines.push(`${day} (UTC)`)
    today = day
    const [first, ...rest] = wrapped(`${what}\u00a0 ${why}`, width - TIME_WIDTH).split('\n')
    lines.push(`${time}  ${first}`, ...rest.map((line) => `${' '.repeat(TIME_WIDTH)}${line}`))
  }
  return lines
    .join('\n')
    .replaceAll(/\u00a0$/gm, '')
    .replaceAll('\u00a0', ' ')
}
