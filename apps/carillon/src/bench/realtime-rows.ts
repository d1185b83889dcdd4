import type { BenchRow } from './rows.js'

/** What differs from row to row; the rest is empty. */
export type RowPart = Partial<BenchRow> & Pick<BenchRow, 'name' | 'value' | 'unit'>

export function row(part: RowPart): BenchRow {
  return {
    suite: 'realtime',
    cpuMicrosPerUnit: null,
    reference: null,
    referenceValue: null,
    ratio: null,
    goal: null,
    met: null,
    ...part,
  }
}

/** A row beside the figure of another. */
export function beside(part: RowPart, reference: BenchRow | undefined): BenchRow {
  if (reference === undefined) return row(part)
  return row({
    ...part,
    reference: reference.name,
    referenceValue: reference.value,
    ratio: part.value / reference.value,
  })
}

/** In place of figures that can't be had here. */
export function absent(name: string, why: string): BenchRow {
  return row({ name: `${name}: not measured, ${why}`, value: 0, unit: '' })
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )
}

/** Of ascending values. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
