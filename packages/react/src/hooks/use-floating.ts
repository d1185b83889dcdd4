import { type RefObject, useEffect } from 'react'

const GAP = 6
/** From the edges of the window. */
const MARGIN = 8

/** Keeps a shown popover below its anchor, or above where there is more room, inside the window. */
export function useFloating(
  open: boolean,
  { anchor, floating }: { anchor: RefObject<Element | null>; floating: RefObject<HTMLElement | null> },
): void {
  useEffect(() => {
    if (!open) return undefined
    const place = () => {
      if (anchor.current && floating.current) placeBelow(anchor.current, floating.current)
    }
    place()
    window.addEventListener('resize', place)
    window.addEventListener('scroll', place, true)
    const sizes = new ResizeObserver(place)
    if (floating.current) sizes.observe(floating.current)
    return () => {
      window.removeEventListener('resize', place)
      window.removeEventListener('scroll', place, true)
      sizes.disconnect()
    }
  }, [open, anchor, floating])
}

/** Ends are aligned, as the anchor stands at the end of its row. */
export function placeBelow(anchor: Element, floating: HTMLElement): void {
  const at = anchor.getBoundingClientRect()
  const { style, offsetWidth: width, offsetHeight: height } = floating
  const rightToLeft = getComputedStyle(floating).direction === 'rtl'
  const { clientWidth, clientHeight } = document.documentElement
  const wanted = rightToLeft ? at.left : at.right - width
  const left = Math.max(MARGIN, Math.min(wanted, clientWidth - width - MARGIN))
  const below = at.bottom + GAP
  const above = at.top - GAP - height
  const fits = below + height <= clientHeight - MARGIN
  const top = fits || above < MARGIN ? Math.min(below, clientHeight - height - MARGIN) : above
  style.inset = 'auto'
  style.margin = '0'
  style.left = `${left}px`
  style.top = `${Math.max(MARGIN, top)}px`
}
