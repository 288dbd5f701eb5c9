import { expect, test } from 'vitest'
import { english, type Message } from '../src/lang/en'
import { pseudo } from '../src/lang/pseudo'
import { choose, language, parts, t } from '../src/lib/i18n'

const forms = (m: Message): string[] => (typeof m === 'string' ? [m] : Object.values(m))

test('plurals follow the number, and numbers are written out in the language', () => {
  expect(t('common.n_pulls', { n: 1 })).toBe('1 pull')
  expect(t('common.n_pulls', { n: 0 })).toBe('0 pulls')
  expect(t('common.n_pulls', { n: 12345 })).toBe('12,345 pulls')
})

test('what is filled in is text, never markup and never filled again', () => {
  expect(t('common.request', { id: '{id}<b>' })).toBe('request {id}<b>')
  expect(parts('client.waiting', { project: '<a>x</a>' })).toEqual([
    { tag: '', text: 'Waiting for the first pull through ' },
    { tag: 'b', text: '<a>x</a>' },
  ])
})

test('the pseudo-locale reaches every text and keeps what is filled in', async () => {
  await choose('en-XA')
  expect(language.code).toBe('en-XA')
  expect(document.documentElement.lang).toBe('en-XA')
  expect(t('common.request', { id: '7c1f' })).toMatch(/^\[.*7c1f.*\]$/)
  expect(t('common.cancel')).toMatch(/^\[Çáñçéľ~+\]$/)
  expect(parts('client.waiting', { project: 'hub' }).some((p) => p.tag === 'b' && p.text === 'hub')).toBe(true)
})

test('the choice is kept, and English is not kept at all', async () => {
  await choose('en-XA')
  expect(localStorage.getItem('language')).toBe('en-XA')
  await choose('en')
  expect(localStorage.getItem('language')).toBeNull()
})

test.each(Object.keys(english) as (keyof typeof english)[])('every text of %s is well formed, in the pseudo-locale too', (area) => {
  for (const [name, message] of Object.entries(english[area] as Record<string, Message>)) {
    for (const text of forms(message)) {
      expect(text.trim(), name).toBe(text)
      expect(text, name).not.toBe('')
      expect(text.replace(/\{\w+\}/g, ''), name).not.toMatch(/[{}]/)
      for (const tag of text.match(/<[^>]*>/g) ?? []) expect(tag, name).toMatch(/^<\/?(b|a|code|dim)>$/)
    }
    const other = forms((pseudo[area] as Record<string, Message>)[name]!)
    expect(other.map((x) => x.match(/\{\w+\}/g) ?? []), name).toEqual(forms(message).map((x) => x.match(/\{\w+\}/g) ?? []))
  }
})
