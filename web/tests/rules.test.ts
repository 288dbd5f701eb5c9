// Rules without looks: how to pull, who sees which place, rights asked for once.
import { beforeEach, expect, test, vi } from 'vitest'
import { pullCommand } from '../src/lib/artifact'
import { placesOf } from '../src/lib/places'
import { rightsIn, signOut } from '../src/lib/session.svelte'
import type { User } from '../src/lib/types'

test.each([
  ['docker', 'docker pull h/p/r:1'],
  ['podman', 'podman pull h/p/r:1'],
  ['skopeo', 'skopeo copy docker://h/p/r:1 oci:r'],
])('%s pulls with its own words', (client, command) => expect(pullCommand(client, 'h/p/r:1').join('')).toBe(command))

const user = (sysadmin_flag: boolean) => ({ user_id: 1, username: 'u', realname: '', email: '', sysadmin_flag }) as User
test('places are shown to whom the server would let in', () => {
  const of = (u: User) => placesOf(u).map((p) => p.href)
  expect(of(user(true))).toContain('/upstreams')
  expect(of(user(false))).not.toContain('/upstreams')
  expect(of(user(false))).not.toContain('/new')
  expect(of(user(false))).toEqual(expect.arrayContaining(['/', '/projects', '/connect']))
})
test('no two places have one address or one key', () => {
  const all = placesOf(user(true))
  expect(new Set(all.map((p) => p.href)).size).toBe(all.length)
  const keys = all.flatMap((p) => p.go ?? [])
  expect(new Set(keys).size).toBe(keys.length)
})

const fetched = vi.fn<typeof fetch>()
beforeEach(async () => {
  fetched.mockReset()
  vi.stubGlobal('fetch', fetched)
  fetched.mockImplementation(async () => new Response('[{"resource":"artifact","action":"delete"}]', { headers: { 'Content-Type': 'application/json' } }))
  await signOut()
  fetched.mockClear()
})
test('rights are asked for once for each project, and forgotten with the session', async () => {
  const [a, b] = await Promise.all([rightsIn(7), rightsIn(7)])
  expect(a.has('artifact:delete')).toBe(true)
  expect(a.has('artifact:create')).toBe(false)
  expect(b).toBe(a)
  expect(fetched).toHaveBeenCalledOnce()
  await rightsIn(8)
  expect(fetched).toHaveBeenCalledTimes(2)
  await signOut()
  fetched.mockClear()
  await rightsIn(7)
  expect(fetched).toHaveBeenCalledOnce()
})
test('rights that could not be asked for are none, and asked for again', async () => {
  fetched.mockImplementationOnce(async () => new Response('', { status: 500 }))
  expect((await rightsIn(9)).size).toBe(0)
  expect((await rightsIn(9)).size).toBe(1)
})
