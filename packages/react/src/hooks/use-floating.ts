import { type RefObject, useEffect } from 'react'

const GAP = 6
/** From the edges of the window. */
const MARGIN = 8
/** Rather covers its anchor than gets lower. */
const LEAST_HEIGHT = 260

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

/** Ends are aligned, as the anchor stands at the end of its row. What is too high for the window gets lower. */
function placeBelow(anchor: Element, floating: HTMLElement): void {
  const at = anchor.getBoundingClientRect()
  const { style } = floating
  const { clientWidth, clientHeight } = document.documentElement
  const below = at.bottom + GAP
  const roomBelow = clientHeight - below - MARGIN
  const roomAbove = at.top - GAP - MARGIN
  style.inset = 'auto'
  style.margin = '0'
  style.maxHeight = `${Math.max(roomBelow, roomAbove, LEAST_HEIGHT)}px`
  const { offsetWidth: width, offsetHeight: height } = floating
  const wanted = getComputedStyle(floating).direction === 'rtl' ? at.left : at.right - width
  const upwards = height > roomBelow && height <= roomAbove
  const top = upwards ? at.top - GAP - height : Math.min(below, clientHeight - height - MARGIN)
  style.left = `${Math.max(MARGIN, Math.min(wanted, clientWidth - width - MARGIN))}px`
  style.top = `${Math.max(MARGIN, top)}px`
}
