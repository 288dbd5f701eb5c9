// Where something that floats stands: under its opener, or above where there is no room, never outside
// of the window.
export function place(box: HTMLElement, opener: HTMLElement, end = false) {
  const at = opener.getBoundingClientRect()
  const { offsetWidth: w, offsetHeight: h } = box
  const gap = 6
  const below = at.bottom + gap + h <= innerHeight || at.top - gap - h < 0
  const left = end ? at.right - w : at.left
  box.style.left = `${Math.max(8, Math.min(left, innerWidth - w - 8))}px`
  box.style.top = `${below ? at.bottom + gap : at.top - gap - h}px`
  placed.set(box, [opener, at.left, at.top])
}
// The focus is there as the box opens, by the browser and before ontoggle, which is sent later: no key is lost.
export const focusFirst = (i: number) => (item: HTMLElement) => void item.toggleAttribute('autofocus', i === 0)
const placed = new WeakMap<HTMLElement, [HTMLElement, number, number]>()
// Whether its opener is elsewhere since. A scroll is told a frame later: also one before the box was opened.
export function moved(box: HTMLElement): boolean {
  const [opener, left, top] = placed.get(box) ?? []
  const at = opener?.getBoundingClientRect()
  return at !== undefined && (at.left !== left || at.top !== top)
}
