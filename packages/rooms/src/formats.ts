/** Formats that a schema may ask for. Each test takes time in proportion to the text. */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && isDay(text),
  time: (text) =>
    /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i.test(text),
  'date-time': (text) =>
    /^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i.test(
      text,
    ) && isDay(text.slice(0, 10)),
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
  email: (text) => text.length <= 320 && /^[^\s@]{1,64}@[^\s@]{1,255}$/.test(text),
  uri: (text) => text.length <= 2_048 && /^[a-z][a-z0-9+.-]*:[^\s]+$/i.test(text) && URL.canParse(text),
}

/** Whether a schema may name this format. */
export function isFormat(name: unknown): boolean {
  return typeof name === 'string' && Object.hasOwn(FORMATS, name)
}

/** All of them, by name. */
export function formats(): Record<string, (text: string) => boolean> {
  return { ...FORMATS }
}

/** `YYYY-MM-DD` that is in the calendar. */
function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}
