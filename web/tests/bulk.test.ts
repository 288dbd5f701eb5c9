// Something done to many: the server's job is followed to its end, whatever answers are lost on the way.
import { cleanup, render, screen, waitFor } from '@testing-library/svelte'
import userEvent from '@testing-library/user-event'
import { afterEach, expect, test, vi } from 'vitest'
import ManyProjects from '../src/ui/ManyProjects.svelte'

const answer = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ETag: `"${JSON.stringify(body).length}"` } })
const job = (more: object) => ({ id: 9, kind: 'bulk', state: 'running', done: 0, total: 0, failed_count: 0, failed: [], eta: null, ended: null, params: {}, result: {}, ...more })
const plan = { asked: 2, going: 2, repositories: 0, artifacts: 0, tags: 0, size: 0, freed: 0, same: 0, over: 0, refused_count: 0, refused: [] }
afterEach(cleanup)

test('a busy server, a lost network and an answer without news do not stop the dialog', async () => {
  const polls = [
    () => answer(200, job({ state: 'queued' })),
    () => new Response(null, { status: 304 }),
    () => answer(503, { errors: [{ code: 'UNAVAILABLE', message: 'busy' }] }),
    () => { throw new TypeError('Failed to fetch') },
    () => answer(200, job({ state: 'done', done: 2, total: 2, ended: '2026-11-24T10:00:00Z' })),
  ]
  vi.stubGlobal('fetch', vi.fn(async (path: string, init: RequestInit) => {
    if (init.method === 'POST') return JSON.parse(init.body as string).dry_run ? answer(200, plan) : answer(202, job({}))
    expect(path).toBe('/api/cove/v1/jobs/9')
    return (polls.length > 1 ? polls.shift()! : polls[0]!)()
  }))
  const done = vi.fn()
  const close = vi.fn()
  render(ManyProjects, { change: 'public', names: ['a', 'b'], q: null, close, done })
  await screen.findByText('Everybody may pull from')
  await userEvent.setup().click(await screen.findByRole('button', { name: 'Make public' }))
  expect((await screen.findByRole('status')).textContent).toContain('0 of 0')
  await waitFor(() => expect(close).toHaveBeenCalledOnce(), { timeout: 10_000 })
  expect(done).toHaveBeenCalledOnce()
  expect(polls).toHaveLength(1)
}, 20_000)
