// Something done to many: what would happen, then the server's job, which lib/watch follows.
import { call, type Failure } from './api'
import type { Job } from './types'
import { watch, type Watched } from './watch.svelte'

export interface Bulk<P> {
  readonly plan: P | null
  readonly error: Failure | null
  readonly busy: boolean
  start(): Promise<boolean> // the job is asked for
}

// What outlives the dialog that asked: it must read nothing of it later. `some` is the body for only these items.
export interface After extends Omit<Watched, 'again'> { some: (items: string[]) => Record<string, unknown> }

// `body` is looked at again whenever it changes, until it is started; null: not complete yet.
export function bulk<P>(path: () => string, body: () => Record<string, unknown> | null, after: () => After): Bulk<P> {
  let plan = $state.raw<P | null>(null)
  let error = $state.raw<Failure | null>(null)
  let busy = $state(true)

  $effect(() => {
    const asked = body()
    const to = path()
    const stop = new AbortController()
    error = null
    busy = asked !== null
    if (!asked) return void (plan = null)
    call<P>('POST', to, { body: { ...asked, dry_run: true }, signal: stop.signal })
      .then((r) => (plan = r.data), (e) => { if (!stop.signal.aborted) error = e as Failure })
      .finally(() => { if (!stop.signal.aborted) busy = false })
    return () => stop.abort()
  })
  return {
    get plan() { return plan },
    get error() { return error },
    get busy() { return busy },
    async start() {
      busy = true
      error = null
      const [to, all, { some, ...what }] = [path(), body(), after()]
      const ask = async (change: Record<string, unknown>) => (await call<Job>('POST', to, { body: { ...all, ...change } })).data
      try {
        watch(await ask({}), { ...what, again: (items) => ask(some(items)) })
        return true
      } catch (e) {
        error = e as Failure
        return false
      } finally {
        busy = false
      }
    },
  }
}
