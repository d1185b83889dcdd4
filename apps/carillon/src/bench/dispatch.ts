import type { CommandContext } from '../cli.js'
import type { BenchArguments } from './bench.js'
import type { BenchRow } from './rows.js'

export async function benchDispatch(_args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  return []
}
