import pc from 'picocolors'

/** Says what takes longer than a moment, with its seconds; says nothing of what doesn't. */
export interface Progress {
  /** Runs one step. Its line appears as soon as it takes long, and ends with its seconds. */
  step<T>(name: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>
}

const SHOWN_AFTER_MS = 400

export function createProgress(out: { write(text: string): unknown; isTTY?: boolean | undefined }): Progress {
  return {
    async step(name, work) {
      const began = performance.now()
      let shown = false
      let detail = ''
      const show = () => {
        shown = true
        if (out.isTTY === true)
          out.write(`\r\u001b[2K  ${pc.dim('…')} ${name}${detail === '' ? '' : pc.dim(` ${detail}`)}`)
      }
      const timer = setInterval(show, SHOWN_AFTER_MS)
      const end = (mark: string) => {
        clearInterval(timer)
        const seconds = (performance.now() - began) / 1000
        if (!shown && seconds * 1000 < SHOWN_AFTER_MS) return
        out.write(
          `${out.isTTY === true ? '\r\u001b[2K' : ''}  ${mark} ${name} ${pc.dim(`${seconds.toFixed(1)} s`)}\n`,
        )
      }
      try {
        const result = await work((text) => {
          detail = text
          if (shown) show()
        })
        end(pc.green('✓'))
        return result
      } catch (error) {
        shown = true
        end(pc.red('✗'))
        throw error
      }
    },
  }
}
