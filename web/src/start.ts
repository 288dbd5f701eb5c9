// Runs before anything is drawn, so that nothing flashes: the theme. Then what the page will need, all at
// once instead of one after the other: its files, who is signed in, and, where somebody was the last
// time, its first calls. lib/api.ts takes the answers. A file of its own: it imports nothing of the program.
import { me, rightsPath } from './lib/paths'
import { routeOf } from './routes'

declare const FILES: Record<string, string[]> // of a page, beyond those in index.html: by vite.config.js

let kept: Record<string, string> = {}
try {
  kept = { ...localStorage }
} catch {
  // private windows: as the system has it
}
const theme = kept.theme
document.documentElement.dataset.theme =
  theme === 'dark' || theme === 'light' ? theme : matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'

const replies: Record<string, Promise<Answer>> = {}
window.early = { until: performance.now() + 10_000, replies }
async function answer(path: string): Promise<Answer> {
  const reply = await fetch(path, { credentials: 'same-origin', headers: { Accept: 'application/json' } })
  const text = await reply.text()
  return { ok: reply.ok, status: reply.status, headers: reply.headers, text: () => Promise.resolve(text) }
}
function ask(path: string) {
  replies[path] = answer(path)
  replies[path].catch(() => {})
}
ask(me)
if (kept.known) ask(rightsPath(0))

let found: ReturnType<typeof routeOf>
try {
  found = routeOf(location.pathname)
} catch {
  // not a path: the program says so
}
if (found) {
  for (const href of FILES[found.route.page] ?? []) {
    const link = document.createElement('link')
    link.rel = 'modulepreload'
    link.href = href
    document.head.append(link)
  }
  if (kept.known) for (const path of found.route.asks?.(found.params, new URLSearchParams(location.search)) ?? []) ask(path)
}
