import { beforeEach, expect, test, vi } from 'vitest'
import { call, Failure, get, repoPath, whenExpired } from '../src/lib/api'
import { mode } from '../src/lib/mode.svelte'
import { reach } from '../src/lib/reach.svelte'

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers: { 'Content-Type': typeof body === 'string' ? 'text/plain' : 'application/json', ...headers } })
const fetched = vi.fn<typeof fetch>()
beforeEach(() => {
  fetched.mockReset()
  vi.stubGlobal('fetch', fetched)
})
const failed = (p: Promise<unknown>) => p.then(() => { throw new Error('it did not fail') }, (e: Failure) => e)

test('the total and the cursor come from the headers', async () => {
  fetched.mockResolvedValue(answer(200, [1], { 'X-Total-Count': '1846', Link: '</api/v2.0/x?cursor=abc%3D&page_size=100>; rel="next"' }))
  expect(await get('/api/v2.0/x')).toEqual({ data: [1], total: 1846, more: false, next: 'abc=' })
})

test('the CSRF token of the last reply goes with the next change', async () => {
  fetched.mockResolvedValueOnce(answer(200, {}, { 'X-Harbor-CSRF-Token': 'one' }))
  fetched.mockResolvedValueOnce(answer(201, ''))
  await get('/x')
  await call('POST', '/x', { body: { a: 1 } })
  expect(fetched.mock.calls[1]![1]!.headers).toMatchObject({ 'X-Harbor-CSRF-Token': 'one', 'Content-Type': 'application/json' })
})

test('an answer that was overtaken does not bring read-only mode back', async () => {
  let late: (r: Response) => void = () => {}
  fetched.mockReturnValueOnce(new Promise((done) => (late = done)))
  fetched.mockResolvedValueOnce(answer(200, ''))
  const poll = get('/x')
  mode.readOnly = true
  await call('PUT', '/y', { body: {} })
  expect(mode.readOnly).toBe(false)
  late(answer(200, {}, { 'X-Cove-Read-Only': 'true' }))
  await poll
  expect(mode.readOnly).toBe(false)
})

test('polling does not keep a session alive', async () => {
  fetched.mockResolvedValue(answer(200, {}))
  await get('/x', { poll: true })
  expect(fetched.mock.calls[0]![1]!.headers).toHaveProperty('X-Harbor-No-Session-Renewal', 'true')
})

test('a failure has the reason, the request and when to try again', async () => {
  fetched.mockResolvedValue(answer(429, { errors: [{ code: 'TOOMANYREQUESTS', message: 'slow down' }] }, { 'Retry-After': '30', 'X-Request-Id': '7c1f' }))
  const began = Date.now()
  const e = await failed(get('/x'))
  expect(e).toMatchObject({ status: 429, code: 'TOOMANYREQUESTS', message: 'slow down', request: '7c1f' })
  expect(e.retryAt - began).toBeGreaterThanOrEqual(30_000)
})

test('a failure in no known form still says something', async () => {
  fetched.mockResolvedValueOnce(answer(502, '<html>bad gateway</html>'))
  expect((await failed(get('/x'))).message).toContain('bad gateway')
  fetched.mockResolvedValueOnce(answer(500, ''))
  expect((await failed(get('/x'))).message).toBe('the server answered 500')
})

test('401 ends the session, unless it is an answer', async () => {
  const expired = vi.fn()
  whenExpired(expired)
  fetched.mockImplementation(async () => answer(401, { errors: [{ code: 'UNAUTHORIZED', message: 'unauthorized' }] }))
  await failed(get('/x', { quiet: true }))
  expect(expired).not.toHaveBeenCalled()
  await failed(get('/x'))
  expect(expired).toHaveBeenCalledOnce()
})

test('no answer at all is told apart, and noted until the next answer', async () => {
  fetched.mockRejectedValueOnce(new TypeError('Failed to fetch'))
  expect(await failed(get('/x'))).toMatchObject({ status: 0, code: 'OFFLINE' })
  expect(reach.lost).toBe(true)
  fetched.mockResolvedValueOnce(answer(200, {}))
  await get('/x')
  expect(reach.lost).toBe(false)
})

test('the name of a repository is escaped twice, of a project once', () =>
  expect(repoPath('a b', 'library/nginx')).toBe('/api/v2.0/projects/a%20b/repositories/library%252Fnginx'))
