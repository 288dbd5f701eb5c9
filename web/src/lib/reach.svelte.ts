// Whether the server answers at all: said once for the whole console, with the time of its last answer.
// While it does not, it is asked again and again, and what is on the page is renewed when it does.
export const reach = $state({ lost: false, last: Date.now() })

let timer = 0
let back: () => void = () => {}
export function whenBack(f: () => void) {
  back = f
}

export function reached() {
  clearTimeout(timer)
  timer = 0
  reach.last = Date.now()
  if (!reach.lost) return
  reach.lost = false
  back()
}
export function unreachable() {
  reach.lost = true
  timer ||= window.setTimeout(probe, 3000)
}
async function probe() {
  timer = 0
  try {
    await fetch('/healthz', { cache: 'no-store' })
    reached()
  } catch {
    unreachable()
  }
}
addEventListener('offline', unreachable)
addEventListener('online', () => reach.lost && void probe())
