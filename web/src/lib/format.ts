// Numbers, sizes and times as the reader's language writes them.
import { intl, number, t } from './i18n'

export { number }
export const percent = (part: number, of: number) => (of ? number((100 * part) / of, 1) : '–')

export function bytesParts(n: number): [string, string] {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return [number(n, i === 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2), units[i]!]
}
export const bytes = (n: number) => bytesParts(n).join(' ')

// Zero is "never": Go's zero time, or nothing.
export const never = (at: string | null | undefined) => !at || at.startsWith('0001-')

const relative = (n: number, unit: Intl.RelativeTimeFormatUnit) =>
  intl((l) => new Intl.RelativeTimeFormat(l, { numeric: 'auto', style: 'short' }), 'relative').format(n, unit)

export function ago(at: string | null | undefined, now = Date.now()): string {
  if (never(at)) return t('common.never')
  const s = (Date.parse(at!) - now) / 1000
  const abs = Math.abs(s)
  if (abs < 45) return t('common.just_now')
  if (abs < 3600) return relative(Math.round(s / 60), 'minute')
  if (abs < 86400) return relative(Math.round(s / 3600), 'hour')
  return relative(Math.round(s / 86400), 'day')
}
const moment = (o: Intl.DateTimeFormatOptions, what: string, at: string | number) =>
  intl((l) => new Intl.DateTimeFormat(l, { hourCycle: 'h23', ...o }), what).format(new Date(at))
export const exact = (at: string | null | undefined) => (never(at) ? '' : moment({ dateStyle: 'medium', timeStyle: 'short' }, 'moment', at!))
export const clock = (at: string | number) => moment({ hour: '2-digit', minute: '2-digit' }, 'clock', at)
export const day = (at: string | number) => moment({ day: 'numeric', month: 'short' }, 'day', at)

// Seconds as one rounded unit: "6 hours".
export function duration(s: number): string {
  const [n, unit] = s < 90 ? [s, 'second'] : s < 5400 ? [s / 60, 'minute'] : s < 2 * 86400 ? [s / 3600, 'hour'] : [s / 86400, 'day']
  return intl((l) => new Intl.NumberFormat(l, { style: 'unit', unit: unit as string, unitDisplay: 'long' }), `unit ${unit}`).format(Math.round(n as number))
}
export const shortDigest = (d: string) => (d.length > 30 ? `${d.slice(0, 19)}…${d.slice(-6)}` : d)
export const tiny = (d: string) => d.replace(/^sha\d+:/, '').slice(0, 8)
export const hostOf = (url: string) => url.replace(/^https?:\/\//, '').replace(/\/.*$/, '')

export const later = (a: string | null, b: string | null) => (!a ? b : !b ? a : a > b ? a : b)
