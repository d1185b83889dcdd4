// Control characters: PostgreSQL's text can't hold NUL, and the others have no meaning in what people read.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g

/** `text` as PostgreSQL and JSON can hold it: without control characters (tab and newline stay) and broken surrogates. */
export function storable(text: string): string {
  return text.replace(CONTROL, '').toWellFormed()
}

/** True when `text` can be kept unchanged. */
export function isStorable(text: string): boolean {
  return text.search(CONTROL) < 0 && text.isWellFormed()
}
