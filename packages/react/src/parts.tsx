import { createContext, type ReactNode, useContext, useMemo } from 'react'

/** Pieces that can be styled: `.carillon-<part>`, `[data-carillon=<part>]`, or a class of your own by `classNames`. */
export type Part =
  | 'bell'
  | 'bell-count'
  | 'popover'
  | 'inbox'
  | 'header'
  | 'title'
  | 'count'
  | 'filters'
  | 'filter'
  | 'notice'
  | 'panel'
  | 'list'
  | 'item'
  | 'mark'
  | 'picture'
  | 'content'
  | 'item-title'
  | 'open'
  | 'subtitle'
  | 'body'
  | 'meta'
  | 'time'
  | 'buttons'
  | 'button'
  | 'tools'
  | 'tool'
  | 'menu'
  | 'menu-item'
  | 'more'
  | 'skeleton'
  | 'empty'
  | 'failed'
  | 'undo'
  | 'hint'
  | 'toasts'
  | 'toast'
  | 'close'
  | 'hidden'

export interface Look {
  /** Adds no class of ours; the `data-carillon` attributes stay. */
  unstyled?: boolean | undefined
  /** Classes of yours, besides ours. */
  classNames?: Partial<Record<Part, string>> | undefined
  /** `system` follows the person's setting. `light` unless said. */
  theme?: 'light' | 'dark' | 'system' | undefined
}

/** Attributes of a part. */
export interface PartAttributes {
  'data-carillon': Part
  className?: string
  style?: {
    position: 'absolute'
    width: 1
    height: 1
    overflow: 'hidden'
    clipPath: string
    whiteSpace: 'nowrap'
  }
}

interface LookOfParts {
  part(name: Part): PartAttributes
  /** Of what stands by itself in the page: an inbox, a bell, a list of toasts. */
  root(name: Part): PartAttributes & { 'data-theme': string }
}

const LookContext = createContext<Look>({})

/** Hands the look of an outer component, like the bell's, to those inside; theirs wins. */
export function LookProvider({ look, children }: { look: Look; children: ReactNode }): ReactNode {
  const outer = useContext(LookContext)
  const { unstyled = outer.unstyled, theme = outer.theme } = look
  const classNames = useMemo(
    () => ({ ...outer.classNames, ...look.classNames }),
    [outer.classNames, look.classNames],
  )
  const value = useMemo(() => ({ unstyled, theme, classNames }), [unstyled, theme, classNames])
  return <LookContext value={value}>{children}</LookContext>
}

export function useParts(): LookOfParts {
  const look = useContext(LookContext)
  return useMemo(() => {
    const { unstyled = false, classNames = {}, theme = 'light' } = look
    const part = (name: Part): PartAttributes => {
      const className = [unstyled ? '' : `carillon-${name}`, classNames[name] ?? ''].join(' ').trim()
      return {
        'data-carillon': name,
        ...(className === '' ? {} : { className }),
        // what only screen readers meet stays invisible without our stylesheet, too
        ...(name === 'hidden' ? { style: HIDDEN } : {}),
      }
    }
    return {
      part,
      root(name) {
        const own = part(name)
        const className = [unstyled ? '' : 'carillon', own.className ?? ''].join(' ').trim()
        return {
          ...own,
          ...(className === '' ? {} : { className }),
          'data-theme': theme,
        }
      },
    }
  }, [look])
}

const HIDDEN = {
  position: 'absolute',
  width: 1,
  height: 1,
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
} as const
