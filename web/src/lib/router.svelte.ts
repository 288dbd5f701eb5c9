// Everything lives in the URL. Links are real <a href>; clicks on them are taken over here.
export const route = $state({ path: location.pathname, search: location.search })

let key = 0
let showing = 0 // the latest show()
const places = new Map<number, number>()
history.scrollRestoration = 'manual'
if (typeof history.state?.key !== 'number') history.replaceState({ key: ++key }, '')
else key = history.state.key
let here: number = history.state.key
// A reload comes back to the same place, and to what remember() kept of the page.
addEventListener('pagehide', () => sessionStorage.setItem('scroll', `${here} ${window.scrollY}`))
const [left, scroll] = (sessionStorage.getItem('scroll') ?? '').split(' ')
if (Number(left) === here && Number(scroll)) show(Number(scroll))

// Something small of this page for Back and for a reload: a selection, an open row.
export const recall = (name: string): unknown => history.state?.[name]
export function remember(name: string, value: unknown) {
  history.replaceState({ ...history.state, [name]: value }, '')
}

function show(scroll: number) {
  route.path = location.pathname
  route.search = location.search
  // The rows may still be on their way, over a slow line: try until the page is long enough, or somebody moves it.
  const until = performance.now() + 30_000
  const mine = ++showing
  const go = () => {
    if (mine !== showing) return
    window.scrollTo(0, scroll)
    if (Math.abs(window.scrollY - scroll) > 2 && performance.now() < until) requestAnimationFrame(go)
  }
  requestAnimationFrame(go)
}
for (const by of ['wheel', 'touchstart', 'keydown', 'pointerdown']) addEventListener(by, () => showing++, { passive: true })

export function navigate(href: string, replace = false) {
  places.set(here, window.scrollY)
  if (replace) history.replaceState({ ...history.state, key: here }, '', href)
  else {
    history.replaceState({ ...history.state, scroll: window.scrollY }, '')
    here = ++key + Date.now()
    history.pushState({ key: here }, '', href)
  }
  if (replace) {
    route.path = location.pathname
    route.search = location.search
  } else show(0)
}

addEventListener('popstate', () => {
  places.set(here, window.scrollY)
  here = history.state?.key ?? 0
  show(places.get(here) ?? history.state?.scroll ?? 0)
})

addEventListener('click', (e) => {
  const a = (e.target as Element).closest?.('a')
  if (!a || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
  if (a.target || a.hasAttribute('download') || a.origin !== location.origin || a.getAttribute('href')?.startsWith('#')) return
  e.preventDefault()
  if (a.href !== location.href) navigate(a.href)
})

export const query = (name: string) => new URLSearchParams(route.search).get(name) ?? ''
// The URL with some parameters changed; empty ones go.
export function withQuery(change: Record<string, string | number>): string {
  const q = new URLSearchParams(route.search)
  for (const [k, v] of Object.entries(change)) {
    if (v === '' || v === 0) q.delete(k)
    else q.set(k, String(v))
  }
  const text = q.toString()
  return route.path + (text ? '?' + text : '')
}
export const repoUrl = (project: string, repo: string, digest = '') =>
  `/projects/${encodeURIComponent(project)}/repositories/${repo}` + (digest ? `/artifacts/${digest}` : '')
