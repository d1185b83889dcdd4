const MAX_POINTER = 256

/** One step further in a JSON pointer (RFC 6901). */
export function below(pointer: string, member: string | number): string {
  return `${pointer}/${String(member).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** A pointer as it is shown: members can have names of any length. */
export function shownPointer(pointer: string): string {
  return pointer.length <= MAX_POINTER ? pointer : `${pointer.slice(0, MAX_POINTER)}…`
}
