// What jsdom lacks: open dialogs and popovers, layout, media queries.
import { beforeEach } from 'vitest'
import { choose } from '../src/lib/i18n'

const toggle = (el: HTMLElement, newState: string) => el.dispatchEvent(Object.assign(new Event('toggle'), { newState }))
HTMLDialogElement.prototype.showModal = function () { this.setAttribute('open', '') }
HTMLDialogElement.prototype.close = function () { this.removeAttribute('open') }
HTMLElement.prototype.showPopover = function () {
  this.dataset.open = ''
  toggle(this, 'open')
}
HTMLElement.prototype.hidePopover = function () {
  if (!('open' in this.dataset)) return
  delete this.dataset.open
  toggle(this, 'closed')
  document.querySelector<HTMLElement>(`[popovertarget="${this.id}"]`)?.focus()
}
document.addEventListener('click', (e) => {
  const id = (e.target as Element).closest('[popovertarget]')?.getAttribute('popovertarget')
  const box = id ? document.getElementById(id) : null
  if (box) 'open' in box.dataset ? box.hidePopover() : box.showPopover()
})
window.scrollTo = (() => {}) as typeof window.scrollTo
Element.prototype.scrollIntoView = () => {}
window.matchMedia = ((media: string) => ({ media, matches: false, addEventListener() {}, removeEventListener() {} })) as never

beforeEach(async () => {
  localStorage.clear()
  await choose('en')
})
