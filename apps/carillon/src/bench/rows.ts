import { writeFile } from 'node:fs/promises'
import pc from 'picocolors'

/** One measured figure beside its reference in the same run. */
export interface BenchRow {
  suite: string
  name: string
  value: number
  unit: string
  cpuMicrosPerUnit: number | null
  reference: string | null
  referenceValue: number | null
  ratio: number | null
  goal: string | null
  met: boolean | null
}

export function printRows(rows: readonly BenchRow[], out: { write(text: string): unknown }): void {
  for (const row of rows) {
    const cpu = row.cpuMicrosPerUnit === null ? '' : `  ${row.cpuMicrosPerUnit.toFixed(1)} µs CPU each`
    const beside =
      row.ratio === null
        ? ''
        : `  ${Math.round(row.ratio * 100)} % of ${row.reference} (${format(row.referenceValue ?? 0)})`
    const goal =
      row.goal === null
        ? ''
        : `  ${row.met === true ? pc.green('goal met') : pc.yellow('goal missed')}: ${row.goal}`
    out.write(
      `  ${row.suite.padEnd(9)} ${row.name.padEnd(34)} ${format(row.value)} ${row.unit}${cpu}${beside}${goal}\n`,
    )
  }
}

export async function writeRows(file: string, rows: readonly BenchRow[]): Promise<void> {
  await writeFile(file, `${JSON.stringify(rows, null, 2)}\n`)
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}
