export type Theme = 'system' | 'light' | 'dark'
const dark = matchMedia('(prefers-color-scheme: dark)')

function read(): Theme {
  try {
    const t = localStorage.getItem('theme')
    return t === 'light' || t === 'dark' ? t : 'system'
  } catch {
    return 'system'
  }
}
export const theme = $state({ choice: read() })

function apply() {
  document.documentElement.dataset.theme = theme.choice === 'system' ? (dark.matches ? 'dark' : 'light') : theme.choice
}
export function choose(t: Theme) {
  theme.choice = t
  try {
    if (t === 'system') localStorage.removeItem('theme')
    else localStorage.setItem('theme', t)
  } catch {
    // private windows: the choice holds for this page
  }
  apply()
}
dark.addEventListener('change', apply)
