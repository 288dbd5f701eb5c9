// What a page shows of the server: the last data stays, dimmed, while the next comes; data seen before
// is there at once on Back. Polls only while the page is visible.
import { Failure } from './api'

const seen = new Map<string, unknown>()
const SEEN_MAX = 200

export function forget() {
  seen.clear()
}

export interface Resource<T> {
  readonly data: T | undefined
  readonly error: Failure | undefined
  readonly busy: boolean
  reload(): void
}

export function resource<T>(
  key: () => string | null,
  load: (key: string, o: { signal: AbortSignal; poll: boolean }) => Promise<T>,
  pollMs = 0,
): Resource<T> {
  let data = $state.raw<T | undefined>()
  let error = $state.raw<Failure | undefined>()
  let busy = $state(false)
  let again = $state(0)
  $effect(() => {
    const k = key()
    void again
    if (k === null) return
    const stop = new AbortController()
    const run = async (poll: boolean) => {
      busy = true
      try {
        const next = await load(k, { signal: stop.signal, poll })
        if (stop.signal.aborted) return
        data = next
        error = undefined
        seen.delete(k)
        seen.set(k, next)
        if (seen.size > SEEN_MAX) seen.delete(seen.keys().next().value!)
      } catch (e) {
        if (stop.signal.aborted) return
        error = e instanceof Failure ? e : new Failure(0, '', String(e), '')
        if (error.status === 403 || error.status === 404) data = undefined
      }
      busy = false
    }
    if (seen.has(k)) data = seen.get(k) as T
    void run(false)
    const timer = pollMs ? setInterval(() => document.visibilityState === 'visible' && run(true), pollMs) : 0
    return () => {
      stop.abort()
      clearInterval(timer)
    }
  })
  return {
    get data() { return data },
    get error() { return error },
    get busy() { return busy },
    reload: () => void again++,
  }
}
