// All words come from web/src/lang: t(key, { name }), where a key is its file's name and the word's. A message is text with {name} in it, or one
// text for each plural form of {n}; numbers are written as the language writes them. English is part of
// the program; another language is one more file, loaded when it is chosen, and has every key.
import { english, type Message, type Messages } from '../../lang/en'

type Area = keyof Messages
export type Key = { [A in Area]: `${A}.${keyof Messages[A] & string}` }[Area]
export type Params = Record<string, string | number>
interface Language { name: string; locale: string; load: () => Promise<Messages> }

// en-XA is English with accents, longer by a third: what it does not reach is not translated.
const known: Record<string, Language> = {
  en: { name: 'English', locale: 'en-GB', load: async () => english },
  'en-XA': { name: 'Pseudo', locale: 'en-GB', load: async () => (await import('../../lang/pseudo')).pseudo },
}
export const languages: [string, string][] = Object.entries(known).filter(([code]) => code !== 'en-XA').map(([code, l]) => [code, l.name])
export const language = $state({ code: 'en', locale: 'en-GB' })
let table = $state.raw<Messages>(english)

function wanted(): string {
  try {
    const kept = localStorage.getItem('language')
    if (kept && known[kept]) return kept
  } catch {
    // private windows: as the browser says
  }
  return navigator.languages.map((l) => l.split('-')[0]!).find((l) => known[l]) ?? 'en'
}

export async function choose(code: string = wanted()): Promise<void> {
  const l = known[code] ?? known.en!
  table = await l.load()
  language.code = code
  language.locale = l.locale
  document.documentElement.lang = code
  try {
    if (code === 'en') localStorage.removeItem('language')
    else localStorage.setItem('language', code)
  } catch {
    // the choice holds for this page
  }
}

// Making an Intl object is slow, using one is not.
const made = new Map<string, unknown>()
export function intl<T>(make: (locale: string) => T, what: string): T {
  const name = `${language.locale} ${what}`
  if (!made.has(name)) made.set(name, make(language.locale))
  return made.get(name) as T
}

// Small whole numbers look the same in every language here, and there are many of them. One object for
// all lengths: the rounding is done here.
export const number = (n: number, digits = 0) => {
  if (n >= 0 && n < 1000 && Number.isInteger(n)) return String(n)
  const step = 10 ** digits
  const whole = Math.round(Number((n * step).toPrecision(12))) // 9.575 * 100 is a little less than 957.5
  return intl((l) => new Intl.NumberFormat(l, { maximumFractionDigits: 3 }), 'number').format(whole / step)
}
export const list = (items: string[]) => intl((l) => new Intl.ListFormat(l, { type: 'conjunction' }), 'list').format(items)

function pattern(key: Key, params?: Params): string {
  const dot = key.indexOf('.')
  const message = (table[key.slice(0, dot) as Area] as Record<string, Message>)[key.slice(dot + 1)]
  if (message === undefined) return key
  if (typeof message === 'string') return message
  const form = intl((l) => new Intl.PluralRules(l), 'plural').select(Number(params?.n ?? 0))
  return message[form] ?? message.other
}

const fill = (text: string, params?: Params) =>
  text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const v = params?.[name]
    return typeof v === 'number' ? number(v, 2) : (v ?? '')
  })

export const t = (key: Key, params?: Params) => fill(pattern(key, params), params)

// A message with <b>, <a>, <code> or <dim> in it, in pieces; what is filled in is never markup.
export const parts = (key: Key, params?: Params): { tag: string; text: string }[] =>
  pattern(key, params)
    .split(/(<(?:b|a|code|dim)>.*?<\/(?:b|a|code|dim)>)/)
    .filter(Boolean)
    .map((piece) => {
      const m = /^<(\w+)>(.*)<\/\1>$/.exec(piece)
      return m ? { tag: m[1]!, text: fill(m[2]!, params) } : { tag: '', text: fill(piece, params) }
    })
