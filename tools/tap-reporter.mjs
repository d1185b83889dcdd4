// What `tap` prints in a package: a line per file, failures in full, and a plain closing line.
import { mkdirSync, writeFileSync } from 'node:fs'
import { Transform } from 'node:stream'
import { formatCounts, formatFailure, TapResults } from './tap-results.mjs'

export default class CarillonReporter extends Transform {
  #results = new TapResults({
    onFailure: (path, diag) => this.push(formatFailure(path, diag)),
    onTop: ({ name, ok, ms, skipped, reason }) => {
      if (skipped) this.push(`  skip ${name}${reason ? `: ${reason}` : ''}\n`)
      else
        this.push(
          `${ok ? 'ok    ' : 'not ok'} ${name}${ms === undefined ? '' : ` … ${(ms / 1000).toFixed(1)} s`}\n`,
        )
    },
  })

  _transform(chunk, _encoding, done) {
    this.#results.write(chunk)
    done()
  }

  _flush(done) {
    this.#results.end().then(() => {
      mkdirSync('.tap', { recursive: true })
      writeFileSync('.tap/summary.json', JSON.stringify(this.#results.counts))
      this.push(`${formatCounts(this.#results.counts)}\n`)
      done()
    }, done)
  }
}
