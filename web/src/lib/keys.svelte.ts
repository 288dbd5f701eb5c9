// Single keys, never while typing. `?` lists them.
import type { Key } from './i18n'
import { myPlaces } from './places'
import { navigate } from './router.svelte'
import { session } from './session.svelte'

export const overlay = $state<{ open: '' | 'keys' | 'find' }>({ open: '' })

export const shortcuts = (): [string[], Key][] => [
  [['Ctrl K'], 'key.find'],
  [['/'], 'key.filter'],
  ...myPlaces().filter((p) => p.go && p.goes).map((p): [string[], Key] => [['g', p.go!], p.goes!]),
  [['j'], 'key.next'],
  [['k'], 'key.previous'],
  [['⏎'], 'key.open'],
  [['x'], 'key.select'],
  [['m'], 'key.menu'],
  [['c'], 'key.copy'],
  [['Esc'], 'key.back'],
  [['?'], 'key.keys'],
]

function row(step: number) {
  const rows = [...document.querySelectorAll<HTMLElement>('main td a.main')]
  const at = rows.indexOf(document.activeElement as HTMLElement)
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step]
  next?.focus()
  next?.scrollIntoView({ block: 'nearest' })
}

// Esc: out of a filter to the content, from a page to the one above it. What floats closes by itself.
function up(at: HTMLElement) {
  if (document.querySelector('dialog[open], :popover-open')) return
  if (at.matches('[data-filter]')) document.getElementById('main')?.focus({ preventScroll: true })
  else if (!at.closest('input, select, textarea')) {
    const above = [...document.querySelectorAll<HTMLAnchorElement>('main .crumb a')].pop()
    if (above) navigate(above.href)
  }
}

export function keyboard() {
  let went = -Infinity // when g was pressed
  const press = (e: KeyboardEvent) => {
    if (!session.user || session.expired) return
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k') {
      e.preventDefault()
      overlay.open = 'find'
      return
    }
    const at = e.target as HTMLElement
    if (e.key === 'Escape') return up(at)
    if (e.ctrlKey || e.metaKey || e.altKey || at.closest('input, select, textarea, dialog')) return
    const place = e.timeStamp - went < 1200 && myPlaces().find((p) => p.go === e.key)
    if (place) {
      went = -Infinity
      navigate(place.href)
    } else if (e.key === 'g') went = e.timeStamp
    else if (e.key === 'j' || e.key === 'k') row(e.key === 'j' ? 1 : -1)
    else if (e.key === '?') overlay.open = 'keys'
    else if (e.key === 'x') document.activeElement?.closest('tr, [role="row"]')?.querySelector<HTMLElement>('input[type="checkbox"]')?.click()
    else if (e.key === 'c') document.querySelector<HTMLElement>('main .copy button')?.click()
    else if (e.key === '/') {
      const box = document.querySelector<HTMLInputElement>('[data-filter]')
      if (!box) return
      e.preventDefault()
      box.focus()
      box.select()
    }
  }
  addEventListener('keydown', press)
  return () => removeEventListener('keydown', press)
}
