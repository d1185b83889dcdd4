/** Which locales a reader's locale falls back through, most exact first; lower case, with dashes. */
export type LocaleChains = (locale: string, tenantLocale: string) => readonly string[]

/** Chains kept; a person's locale is whatever an app once sent, so they need a bound. */
const MAX_CHAINS = 1_000

export function createLocaleChains(): LocaleChains {
  const chains = new Map<string, readonly string[]>()
  return (locale, tenantLocale) => {
    const name = `${locale} ${tenantLocale}`
    const known = chains.get(name)
    if (known !== undefined) return known
    const chain = fallbacks(locale, tenantLocale)
    if (chains.size < MAX_CHAINS) chains.set(name, chain)
    return chain
  }
}

/** `de-AT` with a tenant of `en-GB`: de-at, de, en-gb, en. */
function fallbacks(locale: string, tenantLocale: string): string[] {
  return [...new Set([...widened(locale), ...widened(tenantLocale)])]
}

/** `de-AT`: de-at, de. */
export function widened(locale: string): string[] {
  const parts = normalLocale(locale).split('-')
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('-'))
}

/** As locales are compared: `pt_BR` and `pt-br` are one. */
export function normalLocale(locale: string): string {
  return locale.toLowerCase().replaceAll('_', '-')
}
