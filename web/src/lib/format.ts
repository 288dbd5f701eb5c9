const lang = 'en-GB'
const whole = new Intl.NumberFormat(lang)
const one = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 })
const relative = new Intl.RelativeTimeFormat(lang, { numeric: 'auto', style: 'short' })
const moment = new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' })
const plurals = new Intl.PluralRules(lang)

export const number = (n: number) => whole.format(n)
export const percent = (part: number, of: number) => (of ? one.format((100 * part) / of) : '–')

export function bytesParts(n: number): [string, string] {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  const digits = i === 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2
  return [new Intl.NumberFormat(lang, { maximumFractionDigits: digits }).format(n), units[i]!]
}
export const bytes = (n: number) => bytesParts(n).join(' ')

export const count = (n: number, one: string, many: string) =>
  `${number(n)} ${plurals.select(n) === 'one' ? one : many}`

// Zero is "never": Go's zero time, or nothing.
export const never = (t: string | null | undefined) => !t || t.startsWith('0001-')

export function ago(t: string | null | undefined, now = Date.now()): string {
  if (never(t)) return 'never'
  const s = (Date.parse(t!) - now) / 1000
  const abs = Math.abs(s)
  if (abs < 45) return 'just now'
  if (abs < 3600) return relative.format(Math.round(s / 60), 'minute')
  if (abs < 86400) return relative.format(Math.round(s / 3600), 'hour')
  return relative.format(Math.round(s / 86400), 'day')
}
export const exact = (t: string | null | undefined) => (never(t) ? '' : moment.format(new Date(t!)))

export function duration(s: number): string {
  if (s < 90) return count(Math.round(s), 'second', 'seconds')
  if (s < 5400) return count(Math.round(s / 60), 'minute', 'minutes')
  if (s < 2 * 86400) return count(Math.round(s / 3600), 'hour', 'hours')
  return count(Math.round(s / 86400), 'day', 'days')
}
export const shortDigest = (d: string) => (d.length > 30 ? `${d.slice(0, 19)}…${d.slice(-6)}` : d)
export const tiny = (d: string) => d.replace(/^sha\d+:/, '').slice(0, 8)
export const hostOf = (url: string) => url.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
