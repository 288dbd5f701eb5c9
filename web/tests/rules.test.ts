// Rules without looks: how to pull, who sees which place, rights asked for once.
import { beforeEach, expect, test, vi } from 'vitest'
import { pullCommand } from '../src/lib/artifact'
import { myPlaces, places } from '../src/lib/places'
import { can, rightsIn, session, signOut } from '../src/lib/session.svelte'

test.each([
  ['docker', 'docker pull h/p/r:1'],
  ['podman', 'podman pull h/p/r:1'],
  ['skopeo', 'skopeo copy docker://h/p/r:1 oci:r'],
])('%s pulls with its own words', (client, command) => expect(pullCommand(client, 'h/p/r:1').join('')).toBe(command))

test('places are shown to whom the server would let in', () => {
  const hrefs = () => myPlaces().map((p) => p.href)
  session.system = new Set()
  expect(hrefs()).toEqual(expect.arrayContaining(['/', '/projects', '/connect']))
  expect(hrefs()).not.toContain('/upstreams')
  expect(hrefs()).not.toContain('/new')
  session.system = new Set(['registry:list'])
  expect(hrefs()).toContain('/upstreams')
  expect(hrefs()).not.toContain('/new')
  expect([can('registry', 'list'), can('registry', 'create')]).toEqual([true, false])
})
test('no two places have one address or one key', () => {
  expect(new Set(places.map((p) => p.href)).size).toBe(places.length)
  const keys = places.flatMap((p) => p.go ?? [])
  expect(new Set(keys).size).toBe(keys.length)
})

const fetched = vi.fn<typeof fetch>()
let system = '[]'
const answer: typeof fetch = async (path) =>
  new Response(String(path).includes('scope=/system') ? system : '[{"resource":"artifact","action":"delete"}]', { headers: { 'Content-Type': 'application/json' } })
beforeEach(async () => {
  system = '[]'
  fetched.mockReset()
  vi.stubGlobal('fetch', fetched)
  fetched.mockImplementation(answer)
  await signOut()
  fetched.mockClear()
})
test('rights are asked for once for each project, and forgotten with the session', async () => {
  const [a, b] = await Promise.all([rightsIn(7), rightsIn(7)])
  expect(a.has('artifact:delete')).toBe(true)
  expect(a.has('artifact:create')).toBe(false)
  expect(b).toBe(a)
  expect(fetched).toHaveBeenCalledTimes(2) // of the system, and of the project
  await rightsIn(8)
  expect(fetched).toHaveBeenCalledTimes(3)
  await signOut()
  fetched.mockClear()
  await rightsIn(7)
  expect(fetched).toHaveBeenCalledTimes(2)
})
test('who has rights in the system has all of them in a project, unasked', async () => {
  system = '[{"resource":"registry","action":"list"}]'
  expect((await rightsIn(7)).has('artifact:delete')).toBe(true)
  expect((await rightsIn(7)).has('project:update')).toBe(true)
  expect(fetched).toHaveBeenCalledOnce()
})
test('rights that could not be asked for are none, and asked for again', async () => {
  await rightsIn(0)
  fetched.mockImplementationOnce(async () => new Response('', { status: 500 }))
  expect((await rightsIn(9)).size).toBe(0)
  expect((await rightsIn(9)).size).toBe(1)
})
