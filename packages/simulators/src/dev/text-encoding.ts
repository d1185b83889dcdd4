/** GSM 03.38: a septet each; those of the extension table take two. */
const BASIC = new Set(
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
)
const EXTENDED = new Set('\f^{}\\[~]|€')

/** The alphabet in which a network carries a text, and how many septets or UTF-16 units it takes. */
export function textEncoding(text: string): { encoding: 'GSM-7' | 'UCS-2'; units: number } {
  let septets = 0
  for (const sign of text) {
    if (!BASIC.has(sign) && !EXTENDED.has(sign)) return { encoding: 'UCS-2', units: text.length }
    septets += BASIC.has(sign) ? 1 : 2
  }
  return { encoding: 'GSM-7', units: septets }
}
