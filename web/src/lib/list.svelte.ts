// A list of any length, a page at a time, by the server's cursor. What is loaded grows from its start
// and from its end (End asks for the list backwards); a jump into the middle asks for a page by number.
import { untrack } from 'svelte'
import { SvelteSet } from 'svelte/reactivity'
import { changed, Failure, get } from './api'
import { LIST_PAGE as PAGE, listPage } from './paths'
import { recall, remember } from './router.svelte'

const FRESH_MS = 5000
const KEPT = 12 // lists that Back finds as they were

interface Held<T> {
  rows: Map<number, T>
  total: number | undefined
  more: boolean
  head: { n: number; cursor: string }
  tail: { from: number; cursor: string }
  at: number
}
const held = new Map<string, Held<unknown>>()
const fresh = <T>(): Held<T> => ({ rows: new Map(), total: undefined, more: false, head: { n: 0, cursor: '' }, tail: { from: -1, cursor: '' }, at: 0 })

export interface LongList<T> {
  readonly total: number | undefined // nothing yet: not known
  readonly more: boolean // there are more than total
  readonly loaded: number
  readonly error: Failure | undefined
  readonly busy: boolean
  readonly items: T[] // what is loaded
  row(i: number): T | undefined
  need(from: number, to: number): void // these will be seen
  reload(): void
}

// key: the list's URL with its sort=, without cursor and page. Null: not yet.
export function longList<T>(key: () => string | null): LongList<T> {
  let list = $state.raw(fresh<T>())
  let version = $state(0)
  let error = $state.raw<Failure | undefined>()
  let busy = $state(false)
  let again = $state(0)
  let url = ''
  let want: [number, number] = [0, 1]
  let stop = new AbortController()

  const flip = (u: string) => u.replace(/([?&]sort=)(-?)/, (_, a: string, minus: string) => a + (minus ? '' : '-'))

  function place(into: Held<T>, first: number, rows: T[], step: number) {
    rows.forEach((r, k) => into.rows.set(first + k * step, r))
  }
  function missing(l: Held<T>): number {
    let m = want[0]
    while (m < want[1] && l.rows.has(m)) m++
    return m
  }
  // The first row that is wanted and missing decides what is asked for next.
  async function fill() {
    const l = list
    const m = missing(l)
    if (busy || !url || m >= want[1] || (l.total !== undefined && m >= l.total)) return
    busy = true
    const signal = stop.signal
    try {
      const total = l.total ?? 0
      const forwards = m - l.head.n < PAGE && (l.head.n === 0 || l.head.cursor)
      const backwards = l.total !== undefined && (l.tail.from < 0 ? total : l.tail.from) - m <= PAGE
      const ask = (u: string, cursor: string, page = 1) => get<T[]>(listPage(u, cursor, page), { signal })
      if (forwards) {
        const r = await ask(url, l.head.cursor)
        if (l.head.n === 0) [l.total, l.more] = [Math.max(r.total, r.data.length), r.more]
        place(l, l.head.n, r.data, 1)
        l.head = { n: l.head.n + r.data.length, cursor: r.next }
        if (!r.next) l.total = l.head.n
        else if (l.head.n >= l.total!) l.total = l.head.n + 1
      } else if (backwards) {
        const r = await ask(flip(url), l.tail.from < 0 ? '' : l.tail.cursor)
        const from = l.tail.from < 0 ? total : l.tail.from
        place(l, from - 1, r.data, -1)
        l.tail = { from: from - r.data.length, cursor: r.next }
      } else {
        const page = Math.floor(m / PAGE) + 1
        const r = await ask(url, '', page)
        if (!r.data.length) l.total = m // it became shorter
        place(l, (page - 1) * PAGE, r.data, 1)
      }
      if (signal.aborted) return
      error = undefined
      l.at = Date.now()
    } catch (e) {
      if (signal.aborted) return
      error = e instanceof Failure ? e : new Failure(0, '', String(e), '')
    }
    busy = false
    version++
    if (!error) void fill()
  }

  $effect(() => {
    const k = key()
    const by = again
    if (k === null) return
    untrack(() => open(k, by > 0))
    return () => stop.abort()
  })
  let reloads = 0
  function open(k: string, reload: boolean) {
    stop.abort()
    stop = new AbortController()
    url = k
    busy = false
    error = undefined
    const before = reload && again !== reloads ? undefined : (held.get(k) as Held<T> | undefined)
    reloads = again
    if (!before) want = [0, 1] // it is shown from its start, once it is known how long it is
    list = before ?? fresh<T>()
    held.delete(k)
    held.set(k, list)
    if (held.size > KEPT) held.delete(held.keys().next().value!)
    if (before && (before.at <= changed || Date.now() - before.at > FRESH_MS)) void refresh(before)
    void fill()
  }
  // Old rows stay until what is seen of them has been asked for again; what is seen may change meanwhile,
  // because Back finds its place a moment after the list.
  async function refresh(l: Held<T>) {
    const next = fresh<T>()
    const signal = stop.signal
    try {
      for (let m = want[0]; list === l && !signal.aborted; m = missing(next)) {
        if (next.total !== undefined && (m >= want[1] || m >= next.total)) break
        const page = Math.floor(m / PAGE) + 1
        const r = await get<T[]>(listPage(url, '', page), { signal })
        next.total = r.data.length ? r.total : Math.min(m, r.total) // it became shorter
        next.more = r.more
        place(next, (page - 1) * PAGE, r.data, 1)
        if (page === 1) next.head = { n: r.data.length, cursor: r.next }
      }
      next.at = Date.now()
      if (list === l && !signal.aborted) {
        list = next
        held.set(url, next)
        version++
      }
    } catch {
      // the old ones stay
    }
  }

  return {
    get total() { return void version, list.total },
    get more() { return void version, list.more },
    get loaded() { return void version, list.rows.size },
    get error() { return error },
    get busy() { return busy },
    get items() { return void version, [...list.rows.values()] },
    row: (i) => (void version, list.rows.get(i)),
    need(from, to) {
      want = [from, to]
      untrack(() => void fill())
    },
    reload() {
      again++
    },
  }
}

// What is chosen in a list: kept for Back and for a reload, not for another filter. `everything`: all that
// match, seen or not.
export function selection(name: string) {
  const kept = recall(name)
  const chosen = new SvelteSet<string>(Array.isArray(kept) ? (kept as string[]) : [])
  let everything = $state(recall(name + ' all') === true)
  const keep = () => remember(name, [...chosen].slice(0, 1000))
  const all = (on: boolean) => {
    if (everything === on) return
    everything = on
    remember(name + ' all', on)
  }
  return {
    get size() { return chosen.size },
    get all() { return [...chosen] },
    get everything() { return everything },
    has: (id: string) => everything || chosen.has(id),
    set(id: string, on: boolean) {
      all(false)
      if (on) chosen.add(id)
      else chosen.delete(id)
      keep()
    },
    chooseEverything: () => all(true),
    clear() {
      all(false)
      chosen.clear()
      keep()
    },
  }
}
export type Selection = ReturnType<typeof selection>
