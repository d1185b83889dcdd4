import pg from 'pg'

const INT8 = 20
const DATE = 1082

/** Counts and sequences fit a double; a value that doesn't is an error, never a rounded number. */
function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} doesn't fit a number`)
  return value
}

const sameText = (text: string): string => text

/**
 * Parsers of this pool alone: the driver's registry is shared by the whole process. bigint → number, date → text
 * (a Date would move it to the machine's time zone); the rest as the driver has it.
 */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: string) {
    if (format !== 'binary') {
      if (oid === INT8) return parseInt8
      if (oid === DATE) return sameText
    }
    return format === 'binary' ? pg.types.getTypeParser(oid, 'binary') : pg.types.getTypeParser(oid, 'text')
  },
}
