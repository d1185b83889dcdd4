/** The first `a.b` or `a.b.c` in a program's `--version`, as numbers. */
export function parseVersion(text: string): number[] | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text)
  return match?.slice(1).map((part) => Number(part ?? 0))
}

export function isAtLeast(version: readonly number[], minimum: readonly number[]): boolean {
  for (const [index, wanted] of minimum.entries()) {
    const have = version[index] ?? 0
    if (have !== wanted) return have > wanted
  }
  return true
}
