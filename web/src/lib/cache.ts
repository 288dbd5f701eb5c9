// What the server tells of the cache, and what follows from it in words.
import { bytes, clock } from './format'
import { number, t, type Key, type Params } from './i18n'

export interface Period {
  from: string | null
  to: string | null
  requests: number
  served: number
  hits: number
  revalidated: number
  misses: number
  stale: number
  coalesced: number
  refused: number
  bytes_saved: number
  pulls_saved: number
  pulls_counted: number
  upstream_requests: number
  upstream_bytes: number
  upstream_errors: number
  unreachable: number
  timeouts: number
  broken: number
  limited: number
  answer_median_us: number
  answer_p95_us: number
  upstream_median_us: number
  upstream_p95_us: number
}
export interface QuotaNow { credential: string; source?: string; limit: number; remaining: number; window_s: number; floor: number; seen_at: string }
export type Health = 'quiet' | 'good' | 'trouble' | 'bad'
export interface UpstreamRow {
  id: number
  name: string
  type: string
  url: string
  account?: string
  state: string
  status?: number
  reason?: string
  since?: string
  paused_by?: string
  transfers: number
  quota: QuotaNow[] | null
  sums: Period
  health: Health[]
}
export interface Summary {
  range: string
  since: string | null
  now: string
  fetching: number
  followers: number
  current: Period
  previous: Period
  health_from: string
  health_step_s: number
  upstreams: UpstreamRow[]
}
export interface QuotaSeries {
  now: QuotaNow
  step: 'minute' | 'hour'
  series: { at: string; remaining: number; limit: number }[]
  forecast: { sure: 'not' | 'low' | 'medium' | 'high'; observations: number; pulls_per_hour: number; empty_low: string | null; empty_mid: string | null; empty_high: string | null }
  refill: { at: string | null; observed: boolean }
}
export interface Consumer { project: string; repository: string; principal: string; pulls: number }
export interface Download {
  upstream: string
  project: string
  repository: string
  tag?: string
  digest: string
  layer?: number
  layers?: number
  have: number
  size: number
  rate: number
  clients: number
}
export interface Pull { at: string; project: string; repository: string; reference: string; tag?: string; digest: string; principal: string; client: string; outcome?: string }

export interface Check {
  host: string
  reached: boolean
  ms: number
  status: number
  tls: boolean
  verified: boolean
  account?: string
  signed_in: boolean
  needs_account: boolean
  limit: number
  remaining: number
  window_s: number
  cause?: string
  reason?: string
}

// Microseconds as a figure and its unit; nothing was measured below 0.
export function timeParts(us: number): [string, string] {
  if (us < 0) return ['–', '']
  if (us < 9950) return [number(us / 1000, 1), 'ms']
  return us < 999500 ? [number(Math.round(us / 1000)), 'ms'] : [number(us / 1e6, 1), 's']
}
export const time = (us: number) => timeParts(us).join(' ').trim()

export interface Delta { text: string; good: boolean; before: string }
// How a figure stands to the period before; nothing when there was none.
function change(now: number, before: number, said: string): Delta | undefined {
  if (before <= 0) return
  const by = (100 * (now - before)) / before
  if (Math.abs(by) < 0.5) return
  return { text: `${by > 0 ? '+' : '−'}${number(Math.abs(by), 0)} %`, good: by > 0, before: said }
}
export function deltas(s: Summary): { served?: Delta; saved?: Delta; pulls?: Delta; answer?: Delta } {
  const { current: c, previous: p } = s
  if (!p.requests) return {}
  const share = (x: Period) => (x.requests ? (100 * x.served) / x.requests : 0)
  const points = share(c) - share(p)
  const answer = change(c.answer_median_us, p.answer_median_us, time(p.answer_median_us))
  return {
    served: Math.abs(points) < 0.05 ? undefined : { text: `${points > 0 ? '+' : '−'}${number(Math.abs(points), 1)}`, good: points > 0, before: `${number(share(p), 1)} %` },
    saved: change(c.bytes_saved, p.bytes_saved, bytes(p.bytes_saved)),
    pulls: change(c.pulls_saved, p.pulls_saved, number(p.pulls_saved)),
    answer: answer && { ...answer, good: !answer.good },
  }
}

// The one line of an upstream's pull limits that matters: the account in use, else the scarcest.
export function quotaOf(u: UpstreamRow): QuotaNow | undefined {
  const lines = (u.quota ?? []).filter((q) => q.limit > 0)
  return lines.find((q) => q.credential === (u.account || 'anonymous')) ?? lines.sort((a, b) => a.remaining / a.limit - b.remaining / b.limit)[0]
}
export const scarcest = (rows: UpstreamRow[]) =>
  rows.filter(quotaOf).sort((a, b) => quotaOf(a)!.remaining / quotaOf(a)!.limit - quotaOf(b)!.remaining / quotaOf(b)!.limit)[0]

// Why it is not well: its own answer, or why there is none.
export function reasonOf(u: UpstreamRow): string {
  if (!u.status) return u.reason ?? ''
  const answers = t('cache.answers', { status: String(u.status) })
  return u.reason ? `${answers}: ${u.reason}` : answers
}

export interface Warning { key: Key; params: Params; bad: boolean; id: number; helps: boolean }
function ahead(a: string, b: string): string {
  const minutes = Math.round((Date.parse(b) - Date.parse(a)) / 60000)
  return minutes < 60 ? t('cache.minutes', { m: minutes }) : t('cache.hours', { h: Math.floor(minutes / 60), m: minutes % 60 })
}

// What will break or is broken, one sentence each, the worst first. `series` is of upstream `of`.
export function warnings(rows: UpstreamRow[], of: number | undefined, series: QuotaSeries | undefined): Warning[] {
  const out: Warning[] = []
  for (const u of rows) {
    const q = quotaOf(u)
    const name = u.name
    if (u.state === 'broken' || u.state === 'offline') {
      const params = { name, reason: reasonOf(u), since: u.since ? clock(u.since) : '' }
      out.unshift({ key: u.state === 'offline' ? 'cache.offline' : reasonOf(u) ? 'cache.down_reason' : 'cache.down', params, bad: true, id: u.id, helps: false })
      continue
    }
    if (u.state === 'busy') out.push({ key: 'cache.busy', params: { name }, bad: false, id: u.id, helps: false })
    if (!q) continue
    const told = u.id === of && series && series.now.credential === q.credential ? series : undefined
    const refill = told?.refill.at ? clock(told.refill.at) : ''
    const f = told?.forecast
    if (q.remaining <= 0) out.push({ key: refill ? 'cache.none_left_until' : 'cache.none_left', params: { name, time: refill }, bad: false, id: u.id, helps: true })
    else if (f && f.sure !== 'not' && f.empty_mid && (!told.refill.at || f.empty_mid < told.refill.at)) {
      const params = { name, time: clock(f.empty_mid), ahead: told.refill.at ? ahead(f.empty_mid, told.refill.at) : '' }
      out.push({ key: told.refill.at ? 'cache.will_end' : 'cache.will_end_some_time', params, bad: false, id: u.id, helps: true })
    }
    if (q.remaining > 0 && q.floor > 0 && q.remaining <= q.floor) out.push({ key: 'cache.at_floor', params: { name, n: q.remaining, floor: q.floor }, bad: false, id: u.id, helps: true })
  }
  return out
}

export interface User { name: string; kind: Key | ''; pulls: number; rows: Consumer[] }
// Consumers by who they are, the largest first.
export function users(rows: Consumer[]): User[] {
  const by = new Map<string, User>()
  for (const r of rows) {
    const robot = r.principal.startsWith('robot$')
    const u = by.get(r.principal) ?? {
      name: robot ? r.principal.slice(6) : r.principal,
      kind: robot ? 'cache.robot' : r.principal === 'anonymous' ? 'cache.no_login' : r.principal === 'cove' ? 'cache.itself' : '',
      pulls: 0,
      rows: [],
    }
    u.pulls += r.pulls
    u.rows.push(r)
    by.set(r.principal, u)
  }
  return [...by.values()].sort((a, b) => b.pulls - a.pulls)
}
// The cheapest thing to do about it, from what was counted alone.
export function advice(rows: Consumer[], account: string): { key: Key; params: Params } | undefined {
  const top = users(rows)[0]
  const most = top?.rows.sort((a, b) => b.pulls - a.pulls)[0]
  if (most && most.repository !== '...' && most.pulls >= 3) return { key: 'cache.fix_pin', params: { who: top!.name, n: most.pulls, repository: most.repository } }
  if (rows.length && (!account || account === 'anonymous')) return { key: 'cache.fix_account', params: {} }
  return
}

export const layer = (d: Download) =>
  d.layer ? t('cache.layer', { i: d.layer, n: d.layers ?? 0, done: progress(d) }) : d.layers ? t('cache.config', { done: progress(d) }) : progress(d)
const progress = (d: Download) => (d.size >= 0 ? t('cache.done_of', { done: bytes(d.have), size: bytes(d.size) }) : bytes(d.have))
