import { beforeEach, expect, test, vi } from 'vitest'
import { navigate, query, repoUrl, route, withQuery } from '../src/lib/router.svelte'

beforeEach(() => navigate('/projects'))

test('the query says what is selected; what is empty leaves it', () => {
  navigate('/projects?filter=a%26b&page=2')
  expect(query('filter')).toBe('a&b')
  expect(query('missing')).toBe('')
  expect(withQuery({ page: 3 })).toBe('/projects?filter=a%26b&page=3')
  expect(withQuery({ page: '', sort: '-name' })).toBe('/projects?filter=a%26b&sort=-name')
  expect(withQuery({ page: '', filter: '' })).toBe('/projects')
  expect(withQuery({ page: 0 })).toBe('/projects?filter=a%26b')
})

test.each(['ä ö', 'a+b', '100%', '#?&=/', '“x”', '日本'])('%s comes back from the query as it went in', (text) => {
  navigate(withQuery({ filter: text }))
  expect(query('filter')).toBe(text)
})

test('names of repositories keep their slashes, names of projects do not', () => {
  expect(repoUrl('a/b', 'library/nginx')).toBe('/projects/a%2Fb/repositories/library/nginx')
  expect(repoUrl('hub', 'x', 'sha256:00')).toBe('/projects/hub/repositories/x/artifacts/sha256:00')
})

test('a page is a step in the history, a filter is not', () => {
  const before = history.length
  navigate('/projects/hub')
  expect(history.length).toBe(before + 1)
  navigate('/projects/hub?filter=x', true)
  expect(history.length).toBe(before + 1)
  expect(route.path + route.search).toBe('/projects/hub?filter=x')
})

const click = (html: string, init: MouseEventInit = {}) => {
  document.body.innerHTML = html
  const e = new MouseEvent('click', { bubbles: true, cancelable: true, ...init })
  document.querySelector('a')!.firstChild!.parentElement!.dispatchEvent(e)
  return e.defaultPrevented
}
test('a plain click on a link of ours is taken over', () => {
  expect(click('<a href="/upstreams">x</a>')).toBe(true)
  expect(route.path).toBe('/upstreams')
})
test.each([
  ['<a href="/upstreams">x</a>', { ctrlKey: true }, 'a new tab'],
  ['<a href="/upstreams">x</a>', { metaKey: true }, 'a new tab'],
  ['<a href="/upstreams">x</a>', { shiftKey: true }, 'a new window'],
  ['<a href="/upstreams">x</a>', { button: 1 }, 'the middle button'],
  ['<a href="https://elsewhere.test/">x</a>', {}, 'another origin'],
  ['<a href="#main">x</a>', {}, 'a place on the page'],
  ['<a href="/x" download>x</a>', {}, 'a download'],
  ['<a href="/x" target="_blank">x</a>', {}, 'a new tab by the page'],
])('%s %o is left to the browser: %s', (html, init, _why) => {
  // jsdom knows no navigation: it must not be asked for one.
  const stop = (e: Event) => e.preventDefault()
  const before = route.path
  addEventListener('click', stop)
  click(html, init as MouseEventInit)
  removeEventListener('click', stop)
  expect(route.path).toBe(before)
})

test('Back shows the page before', async () => {
  navigate('/projects/hub?tab=settings')
  navigate('/projects/hub')
  history.back()
  await vi.waitFor(() => expect(query('tab')).toBe('settings'))
})
