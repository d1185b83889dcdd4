/** The address if a page may lead there: http, https, or a place on this origin. Undefined for anything that runs code. */
export function safeUrl(url: string | null | undefined): string | undefined {
  if (!url) return undefined
  try {
    // a browser drops spaces, tabs and line ends in a scheme, and so does this
    const { protocol } = new URL(url, 'https://here.invalid')
    return protocol === 'https:' || protocol === 'http:' ? url : undefined
  } catch {
    return undefined
  }
}
