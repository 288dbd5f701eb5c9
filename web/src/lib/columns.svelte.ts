// The columns of a table: which are shown is chosen, and kept in this browser; what has no room stands
// back, the least important first. On a phone the rows have two lines and no columns (List).
export interface Column {
  key?: string // may be chosen away; without it the column is always there
  text: string
  width: string // px, of the first: what is left
  sort?: string
  down?: boolean // sorts from the highest first
  cls?: string // r right, hide not on phones
  off?: boolean // not at first
  rank?: number // the lowest stands back first
}

const MAIN = 210 // px that the first column keeps
const GAP = 24

function read(name: string): Record<string, boolean> {
  try {
    return JSON.parse(localStorage.getItem(name) ?? '{}') ?? {}
  } catch {
    return {}
  }
}

export function columnsOf(table: string, all: () => Column[]) {
  const name = `columns ${table}`
  let changed = $state.raw(read(name))
  let room = $state(Infinity)
  const wanted = $derived(all().filter((c) => !c.key || (changed[c.key] ?? !c.off)))
  const out = $derived.by(() => {
    const out = new Set<string>()
    const need = () => wanted.reduce((sum, c) => sum + (c.key && out.has(c.key) ? 0 : GAP + (parseInt(c.width) || 0)), 0)
    const back = wanted.filter((c) => c.key).sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
    for (let c = back.shift(); c && room - need() < MAIN; c = back.shift()) out.add(c.key!)
    return out
  })
  const shown = $derived(wanted.filter((c) => !c.key || !out.has(c.key)))
  const keys = $derived(new Set(shown.map((c) => c.key)))
  return {
    get all() { return all() },
    get shown() { return shown },
    has: (key: string) => keys.has(key),
    chosen: (c: Column) => wanted.includes(c) || wanted.some((w) => w.key === c.key),
    crowded: (key: string) => out.has(key),
    choose(key: string, on: boolean) {
      changed = { ...changed, [key]: on }
      try {
        localStorage.setItem(name, JSON.stringify(changed))
      } catch {
        // private windows: until the page goes
      }
    },
    fit(px: number) {
      room = px
    },
  }
}
export type Columns = ReturnType<typeof columnsOf>
