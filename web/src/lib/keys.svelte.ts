// Single keys, never while typing. `?` lists them.
import type { Key } from './i18n'
import { navigate } from './router.svelte'
import { session } from './session.svelte'

export const overlay = $state<{ open: '' | 'keys' | 'find' }>({ open: '' })

export const shortcuts: [string[], Key][] = [
  [['Ctrl K'], 'key.find'],
  [['/'], 'key.filter'],
  [['g', 'c'], 'key.cache'],
  [['g', 'p'], 'key.projects'],
  [['g', 'u'], 'key.upstreams'],
  [['j'], 'key.next'],
  [['k'], 'key.previous'],
  [['⏎'], 'key.open'],
  [['c'], 'key.copy'],
  [['?'], 'key.keys'],
]

const places: Record<string, string> = { c: '/', p: '/projects', u: '/upstreams' }

function row(step: number) {
  const rows = [...document.querySelectorAll<HTMLElement>('main td a.main')]
  const at = rows.indexOf(document.activeElement as HTMLElement)
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step]
  next?.focus()
  next?.scrollIntoView({ block: 'nearest' })
}

export function keyboard() {
  let went = 0
  const press = (e: KeyboardEvent) => {
    if (!session.user || session.expired) return
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k') {
      e.preventDefault()
      overlay.open = 'find'
      return
    }
    const at = e.target as HTMLElement
    if (e.ctrlKey || e.metaKey || e.altKey || at.closest('input, select, textarea, dialog')) return
    if (e.timeStamp - went < 1200 && places[e.key]) {
      went = 0
      navigate(places[e.key]!)
    } else if (e.key === 'g') went = e.timeStamp
    else if (e.key === 'j' || e.key === 'k') row(e.key === 'j' ? 1 : -1)
    else if (e.key === '?') overlay.open = 'keys'
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
