// Something done to many: the server's job is followed to its end, whatever answers are lost on the way.
import { cleanup, render, screen, waitFor } from '@testing-library/svelte'
import userEvent from '@testing-library/user-event'
import { afterEach, expect, test, vi } from 'vitest'
import ManyProjects from '../src/ui/ManyProjects.svelte'
import Toasts from '../src/ui/Toasts.svelte'

const answer = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ETag: `"${JSON.stringify(body).length}"` } })
const job = (more: object) => ({ id: 9, kind: 'bulk', state: 'running', done: 0, total: 0, failed_count: 0, failed: [], eta: null, ended: null, params: {}, result: {}, ...more })
const plan = { asked: 2, going: 2, repositories: 0, artifacts: 0, tags: 0, size: 0, freed: 0, same: 0, over: 0, refused_count: 0, refused: [] }
afterEach(cleanup)

test('a busy server, a lost network and an answer without news do not stop the bar', async () => {
  let seen = () => {} // the bar is there
  const shown = new Promise<void>((done) => (seen = done))
  const polls: (() => Response | Promise<Response>)[] = [
    () => answer(200, job({ state: 'queued' })),
    () => new Response(null, { status: 304 }),
    () => answer(503, { errors: [{ code: 'UNAVAILABLE', message: 'busy' }] }),
    () => { throw new TypeError('Failed to fetch') },
    async () => (await shown, answer(200, job({ state: 'done', done: 2, total: 2, ended: '2026-11-24T10:00:00Z' }))),
  ]
  vi.stubGlobal('fetch', vi.fn(async (path: string, init: RequestInit) => {
    if (init.method === 'POST') return JSON.parse(init.body as string).dry_run ? answer(200, plan) : answer(202, job({}))
    expect(path).toBe('/api/cove/v1/jobs/9')
    return (polls.length > 1 ? polls.shift()! : polls[0]!)()
  }))
  const [close, started, done] = [vi.fn(), vi.fn(), vi.fn()]
  render(Toasts)
  const dialog = render(ManyProjects, { change: 'public', names: ['a', 'b'], q: null, close, started, done })
  await screen.findByText('Everybody may pull from')
  await userEvent.setup().click(await screen.findByRole('button', { name: 'Make public' }))
  await waitFor(() => expect(close).toHaveBeenCalledOnce())
  expect(started).toHaveBeenCalledOnce()
  dialog.unmount() // the job goes on without it
  await screen.findByRole('article', { name: 'Making public' }, { timeout: 10_000 })
  seen()
  await screen.findByText('They are public now.', {}, { timeout: 10_000 })
  expect(done).toHaveBeenCalledOnce()
  expect(polls).toHaveLength(1)
  expect(screen.queryByRole('article')).toBeNull()
}, 40_000)
