/** Durations are a number and a unit: ms, s, m, h, d. */
export const DURATION_PATTERN = '^[1-9][0-9]{0,8}(ms|s|m|h|d)$'

/** As durations, and 0s. */
export const DURATION_OR_ZERO_PATTERN = '^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$'

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration like `20s`, or undefined when it isn't one. */
export function durationMs(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text)
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] as string] as number)
}
