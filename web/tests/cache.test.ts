// What the Cache page says: warnings with their reasons, who uses a limit, how figures stand to before.
import { describe, expect, it } from 'vitest'
import { advice, deltas, quotaOf, scarcest, time, users, warnings, type Consumer, type Period, type QuotaSeries, type Summary, type UpstreamRow } from '../src/lib/cache'

const none = { from: null, to: null, requests: 0, served: 0, hits: 0, revalidated: 0, misses: 0, stale: 0, coalesced: 0, refused: 0, bytes_saved: 0, pulls_saved: 0, pulls_counted: 0, upstream_requests: 0, upstream_bytes: 0, upstream_errors: 0, unreachable: 0, timeouts: 0, broken: 0, limited: 0, answer_median_us: -1, answer_p95_us: -1, upstream_median_us: -1, upstream_p95_us: -1 } satisfies Period
const line = (remaining: number, credential = 'anonymous') => ({ credential, limit: 200, remaining, window_s: 21600, floor: 20, seen_at: '2026-11-24T12:00:00Z' })
const up = (more: Partial<UpstreamRow> = {}): UpstreamRow => ({ id: 1, name: 'Docker Hub', type: 'docker-hub', url: '', state: 'open', transfers: 0, quota: [line(62)], sums: none, health: [], ...more })
const told = (sure: QuotaSeries['forecast']['sure'], empty: string | null, refill: string | null): QuotaSeries => ({
  now: line(62), step: 'minute', series: [],
  forecast: { sure, observations: 40, pulls_per_hour: 40, empty_low: empty, empty_mid: empty, empty_high: empty },
  refill: { at: refill, observed: true },
})
const keys = (...args: Parameters<typeof warnings>) => warnings(...args).map((w) => w.key)

describe('warnings', () => {
  it('says nothing while nothing will break', () => {
    expect(keys([up()], 1, undefined)).toEqual([])
    expect(keys([up({ quota: null })], 1, undefined)).toEqual([])
    expect(keys([up()], 1, told('not', null, '2026-11-24T16:04:00Z'))).toEqual([])
  })
  it('warns of an end before the refill, and of none behind it', () => {
    const [w] = warnings([up()], 1, told('high', '2026-11-24T14:50:00Z', '2026-11-24T16:04:00Z'))
    expect(w).toMatchObject({ key: 'cache.will_end', bad: false, helps: true, params: { name: 'Docker Hub', ahead: '1 h 14 min' } })
    expect(keys([up()], 1, told('high', '2026-11-24T17:00:00Z', '2026-11-24T16:04:00Z'))).toEqual([])
    expect(keys([up()], 1, told('low', '2026-11-24T17:00:00Z', null))).toEqual(['cache.will_end_some_time'])
  })
  it('does not foretell for another upstream or another account', () => {
    const series = told('high', '2026-11-24T14:50:00Z', '2026-11-24T16:04:00Z')
    expect(keys([up({ id: 2 })], 1, series)).toEqual([])
    expect(keys([up({ account: 'acme', quota: [line(62, 'acme')] })], 1, series)).toEqual([])
  })
  it('says that the floor is reached, and that nothing is left', () => {
    expect(keys([up({ quota: [line(20)] })], 1, undefined)).toEqual(['cache.at_floor'])
    expect(keys([up({ quota: [line(0)] })], 1, undefined)).toEqual(['cache.none_left'])
    expect(keys([up({ quota: [line(0)] })], 1, told('not', null, '2026-11-24T16:04:00Z'))).toEqual(['cache.none_left_until'])
  })
  it('names why an upstream fails, and puts that first', () => {
    const broken = up({ id: 2, name: 'GitHub', state: 'broken', status: 503, since: '2026-11-24T12:41:00Z', quota: null })
    const [w] = warnings([up({ quota: [line(1)] }), broken], 1, undefined)
    expect(w).toMatchObject({ key: 'cache.down_reason', bad: true, params: { name: 'GitHub', reason: 'answers 503' } })
    expect(warnings([{ ...broken, reason: 'overloaded' }], 1, undefined)[0]!.params.reason).toBe('answers 503: overloaded')
    expect(keys([{ ...broken, status: 0 }], 1, undefined)).toEqual(['cache.down'])
  })
})

describe('quotas', () => {
  it('shows the account in use, else the scarcest', () => {
    expect(quotaOf(up({ account: 'acme', quota: [line(3), line(90, 'acme')] }))!.remaining).toBe(90)
    expect(quotaOf(up({ account: 'new', quota: [line(90, 'a'), line(3, 'b')] }))!.remaining).toBe(3)
    expect(quotaOf(up({ quota: [{ ...line(1), limit: -1 }] }))).toBeUndefined()
    expect(scarcest([up(), up({ id: 2, quota: [line(5)] })])!.id).toBe(2)
  })
})

describe('consumers', () => {
  const rows: Consumer[] = [
    { project: 'hub', repository: 'library/node', principal: 'robot$ci', pulls: 19 },
    { project: 'hub', repository: 'library/redis', principal: 'anonymous', pulls: 21 },
    { project: 'hub', repository: 'library/go', principal: 'robot$ci', pulls: 4 },
  ]
  it('are people and robots, the largest first', () => {
    expect(users(rows).map((u) => [u.name, u.kind, u.pulls])).toEqual([['ci', 'cache.robot', 23], ['anonymous', 'cache.no_login', 21]])
  })
  it('get the cheapest advice that was counted', () => {
    expect(advice(rows, '')).toEqual({ key: 'cache.fix_pin', params: { who: 'ci', n: 19, repository: 'library/node' } })
    expect(advice([{ ...rows[0]!, pulls: 1 }], '')!.key).toBe('cache.fix_account')
    expect(advice([{ ...rows[0]!, pulls: 1 }], 'acme')).toBeUndefined()
    expect(advice([], '')).toBeUndefined()
  })
})

describe('figures', () => {
  const of = (current: Partial<Period>, previous: Partial<Period>) => deltas({ current: { ...none, ...current }, previous: { ...none, ...previous } } as Summary)
  it('are not compared with nothing', () => expect(of({ requests: 5 }, {})).toEqual({}))
  it('stand to the time before', () => {
    const d = of({ requests: 100, served: 97, bytes_saved: 200, answer_median_us: 900 }, { requests: 50, served: 47, bytes_saved: 100, answer_median_us: 1800 })
    expect(d.served).toMatchObject({ text: '+3', good: true, before: '94 %' })
    expect(d.saved).toMatchObject({ text: '+100 %', good: true })
    expect(d.answer).toMatchObject({ text: '−50 %', good: true })
    expect(d.pulls).toBeUndefined()
  })
  it('are times in the unit that fits', () => {
    expect([3100, 412000, 2500000, -1].map(time)).toEqual(['3.1 ms', '412 ms', '2.5 s', '–'])
  })
})
