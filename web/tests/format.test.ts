import { expect, test } from 'vitest'
import { ago, bytes, bytesParts, duration, exact, hostOf, never, number, percent, shortDigest, tiny } from '../src/lib/format'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1 KB'],
  [1234, '1.23 KB'],
  [9_575, '9.58 KB'], // a half goes up, whatever the machine makes of 9.575
  [12_345, '12.3 KB'],
  [123_456, '123 KB'],
  [1_840_000_000_000, '1.84 TB'],
  [5e18, '5,000 PB'], // there is nothing above
])('%d bytes are %s', (n, text) => expect(bytes(n)).toBe(text))

test('the number and the unit stand apart where they are set apart', () => expect(bytesParts(71e9)).toEqual(['71', 'GB']))

test.each([
  [48_210, 50_010, '96.4'],
  [1, 3, '33.3'],
  [5, 5, '100'],
  [0, 0, '–'], // nothing of nothing is not nought
])('%d of %d is %s percent', (part, of, text) => expect(percent(part, of)).toBe(text))

test('numbers are grouped, with no more digits than asked for', () => {
  expect(number(1234567)).toBe('1,234,567')
  expect(number(3.14159)).toBe('3')
  expect(number(3.14159, 1)).toBe('3.1')
})

const now = Date.parse('2026-03-01T12:00:00Z')
test.each([
  ['2026-03-01T11:59:30Z', 'just now'],
  ['2026-03-01T12:00:30Z', 'just now'], // clocks differ
  ['2026-03-01T11:58:00Z', '2 min ago'],
  ['2026-03-01T09:00:00Z', '3 hr ago'],
  ['2026-02-28T11:00:00Z', 'yesterday'],
  ['2026-02-20T12:00:00Z', '9 days ago'],
  ['0001-01-01T00:00:00Z', 'never'],
  [null, 'never'],
  [undefined, 'never'],
])('%s is %s', (at, text) => expect(ago(at, now)).toBe(text))

test('no time is no text', () => {
  expect(exact('0001-01-01T00:00:00.000Z')).toBe('')
  expect(exact('2026-03-01T12:00:00Z')).toMatch(/^1 Mar 2026, \d\d:00$/)
  expect(never('')).toBe(true)
})

test.each([
  [1, '1 second'],
  [60, '60 seconds'],
  [120, '2 minutes'],
  [21_600, '6 hours'],
  [86_400, '24 hours'],
  [604_800, '7 days'],
])('%d s are %s', (s, text) => expect(duration(s)).toBe(text))

test('digests are cut so that both ends are seen', () => {
  const digest = 'sha256:4bf7ac01' + '0'.repeat(50) + 'abcdef'
  expect(shortDigest(digest)).toBe('sha256:4bf7ac010000…abcdef')
  expect(tiny(digest)).toBe('4bf7ac01')
  expect(hostOf('https://ghcr.io/v2/')).toBe('ghcr.io')
})
