import { Parser } from 'tap-parser'

const ignore = () => undefined

/**
 * Follows one stream of TAP and reports each assertion once, with the path of tests that it is in. Counts leaves: a test
 * that failed because of an assertion in it adds nothing of its own.
 */
export class TapResults {
  counts = { passed: 0, failed: 0, skipped: 0 }
  #parser
  #decoder = new TextDecoder()
  #onFailure
  #onTop

  /**
   * @param {{ onFailure?: (path: string[], diag: Record<string, unknown>) => void,
   *   onTop?: (result: { name: string, ok: boolean, ms: number | undefined, skipped: boolean }) => void }} watchers
   */
  constructor({ onFailure = ignore, onTop = ignore } = {}) {
    this.#onFailure = onFailure
    this.#onTop = onTop
    this.#parser = new Parser({ name: 'tap' })
    this.#watch(this.#parser, [])
  }

  /** @param {Uint8Array} chunk bytes, cut anywhere */
  write(chunk) {
    this.#parser.write(this.#decoder.decode(chunk, { stream: true }))
  }

  /** @returns {Promise<{ ok: boolean }>} what the stream as a whole says, its plan and bail-outs included */
  end() {
    return new Promise((resolve) => {
      this.#parser.on('complete', resolve)
      this.#parser.end()
    })
  }

  #watch(parser, path) {
    const state = { failures: 0 }
    let suite
    parser.on('child', (child) => {
      suite = { name: child.name, state: this.#watch(child, [...path, child.name]) }
    })
    parser.on('assert', (result) => {
      const inner = suite?.name === result.name ? suite.state : undefined
      suite = undefined
      const failed = !result.ok && !result.todo && !result.skip
      if (failed) {
        state.failures += 1
        if (!inner || inner.failures === 0) {
          this.counts.failed += 1
          this.#onFailure([...path, result.name], result.diag ?? {})
        }
      } else if (result.skip || result.todo) {
        this.counts.skipped += 1
        const reason = [result.skip, result.todo].find((value) => typeof value === 'string')
        this.#onTop({
          name: [...path, result.name].join(' > '),
          ok: true,
          ms: undefined,
          skipped: true,
          reason,
        })
      } else if (!inner) this.counts.passed += 1
      if (path.length === 0 && !result.skip)
        this.#onTop({ name: result.name, ok: !failed, ms: result.time ?? undefined, skipped: false })
    })
    return state
  }
}

/** A failure as indented text, diagnostics in full. */
export function formatFailure(path, diag) {
  const lines = [`  FAIL ${path.join(' > ')}`]
  for (const [key, value] of Object.entries(diag)) {
    const text = typeof value === 'string' ? value.trimEnd() : (JSON.stringify(value) ?? String(value))
    lines.push(`    ${key}: ${text.replaceAll('\n', '\n      ')}`)
  }
  return `${lines.join('\n')}\n`
}

/** The closing line: `12 passed, 0 failed`, with `, 1 skipped` when there were any. */
export function formatCounts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
