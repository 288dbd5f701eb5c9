// Whether the server answers at all: said once for the whole console, with the time of its last answer.
export const reach = $state({ lost: false, last: Date.now() })

export function reached() {
  reach.lost = false
  reach.last = Date.now()
}
export function unreachable() {
  reach.lost = true
}
addEventListener('offline', unreachable)
