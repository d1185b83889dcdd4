/** GSM 03.38 default alphabet: one septet each. */
const BASIC = new Set(
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
)
/** Its extension table: an escape and one septet. */
const EXTENDED = new Set('\f^{}\\[~]|€')

/** What writing programs put in place of plain signs; one of them doubles the price of a text. */
const PLAIN: Readonly<Record<string, string>> = {
  '\u2018': "'",
  '\u2019': "'",
  '\u201a': "'",
  '\u201b': "'",
  '\u2032': "'",
  '\u201c': '"',
  '\u201d': '"',
  '\u201e': '"',
  '\u00ab': '"',
  '\u00bb': '"',
  '\u2010': '-',
  '\u2011': '-',
  '\u2012': '-',
  '\u2013': '-',
  '\u2014': '-',
  '\u2212': '-',
  '\u2026': '...',
  '\u2022': '*',
  '\u00a0': ' ',
  '\u2009': ' ',
  '\u202f': ' ',
  '\u200b': '',
  '\ufeff': '',
  '\t': ' ',
}

/** Characters that one message holds, alone and as a part of several, by alphabet. */
const ROOM = { gsm7: { alone: 160, part: 153 }, ucs2: { alone: 70, part: 67 } } as const

export interface Segments {
  encoding: 'gsm7' | 'ucs2'
  /** Septets in GSM-7, UTF-16 units in UCS-2. */
  units: number
  /** Messages that are sent and paid for; an empty text is one. */
  count: number
}

/** Typographic signs as plain ones, if the text then fits GSM-7; else the text as it is. */
export function plainSigns(text: string): string {
  const plain = [...text].map((sign) => PLAIN[sign] ?? sign).join('')
  return isGsm7(plain) ? plain : text
}

/** How a network will cut the text up. An escaped sign or a surrogate pair is never split between two messages. */
export function segmentsOf(text: string): Segments {
  const encoding = isGsm7(text) ? 'gsm7' : 'ucs2'
  const sizes = [...text].map((sign) => (encoding === 'gsm7' ? (EXTENDED.has(sign) ? 2 : 1) : sign.length))
  const units = sizes.reduce((sum, size) => sum + size, 0)
  const { alone, part } = ROOM[encoding]
  if (units <= alone) return { encoding, units, count: 1 }
  let count = 1
  let used = 0
  for (const size of sizes) {
    if (used + size > part) {
      count++
      used = 0
    }
    used += size
  }
  return { encoding, units, count }
}

function isGsm7(text: string): boolean {
  for (const sign of text) if (!BASIC.has(sign) && !EXTENDED.has(sign)) return false
  return true
}
