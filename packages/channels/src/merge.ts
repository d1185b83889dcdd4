/** `over` merged into `base`, deeply for plain objects; other values replace. Prototype keys are left out. */
export function mergeDeep(
  base: Record<string, unknown>,
  over: Record<string, unknown> | undefined,
): Record<string, unknown> {
  if (!over) return base
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') continue
    const before = merged[key]
    merged[key] = isPlain(before) && isPlain(value) ? mergeDeep(before, value) : value
  }
  return merged
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
