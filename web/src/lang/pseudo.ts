// English that shows what is not translated and what does not fit: accents, and a third longer.
import { english, type Message, type Messages } from './en'

const accents: Record<string, string> = {
  a: 'á', c: 'ç', d: 'ď', e: 'é', g: 'ğ', i: 'í', l: 'ľ', n: 'ñ', o: 'ö', r: 'ř', s: 'š', t: 'ť', u: 'ü', y: 'ý',
  A: 'Á', C: 'Ç', D: 'Ď', E: 'É', G: 'Ğ', I: 'Í', N: 'Ñ', O: 'Ö', R: 'Ř', S: 'Š', T: 'Ť', U: 'Ü',
}
const stretch = (text: string) => {
  const far = text
    .split(/(\{\w+\}|<\/?\w+>)/)
    .map((piece) => (/^[{<]/.test(piece) ? piece : [...piece].map((c) => accents[c] ?? c).join('')))
    .join('')
  // In words: one long word would not break where every language does.
  const more = '~'.repeat(Math.ceil(text.length / 3)).replace(/~{6}(?=~)/g, '$& ')
  return `[${far}${more.length > 6 ? ' ' : ''}${more}]`
}
const each = (m: Message): Message =>
  typeof m === 'string' ? stretch(m) : (Object.fromEntries(Object.entries(m).map(([form, text]) => [form, stretch(text)])) as Message)

export const pseudo = Object.fromEntries(
  Object.entries(english).map(([area, all]) => [area, Object.fromEntries(Object.entries(all).map(([k, m]) => [k, each(m as Message)]))]),
) as unknown as Messages
