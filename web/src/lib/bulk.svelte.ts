// Something done to many: what would happen, then the server's job with its progress. Whoever shows it may
// go away: the job goes on.
import { untrack } from 'svelte'
import { call, cove, get, type Failure } from './api'
import { resource, type Resource } from './resource.svelte'
import type { Job } from './types'

export interface Bulk<P> {
  readonly plan: P | null
  readonly job: Job | null
  readonly error: Failure | null
  readonly busy: boolean
  readonly left: number // seconds that the job still takes, about; 0: not known
  start(): Promise<void>
  retry(): void // what failed alone, looked at again
}

// `body` is looked at again whenever it changes, until it is started; null: not complete yet. `some` is the
// body for only these items.
export function bulk<P>(path: () => string, body: () => Record<string, unknown> | null, some: (items: string[]) => Record<string, unknown>, ended: (job: Job) => void): Bulk<P> {
  let plan = $state.raw<P | null>(null)
  let begun = $state.raw<Job | null>(null) // as the answer to its beginning told of it
  let error = $state.raw<Failure | null>(null)
  let busy = $state(true)
  let again = $state.raw<string[] | null>(null) // only those that failed
  const what = () => {
    const all = body()
    return all && again ? { ...all, ...some(again) } : all
  }

  $effect(() => {
    const asked = what()
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
  // An answer that does not come is no end: it is asked again until the job has ended.
  const seen: Resource<Job> = resource<Job>((): string | null => watched, async (key, o) => (await get<Job>(key, o)).data, 500)
  const job: Job | null = $derived(begun && seen.data?.id === begun.id ? seen.data : begun)
  const watched = $derived(job && !job.ended ? `${cove}/jobs/${job.id}` : null)
  let told = 0
  $effect(() => {
    if (!job?.ended || told === job.id) return
    told = job.id
    untrack(() => ended(job))
  })
  return {
    get plan() { return plan },
    get job() { return job },
    get error() { return error ?? (watched ? (seen.error ?? null) : null) },
    get busy() { return busy },
    get left() { return job?.eta ? Math.max(1, (Date.parse(job.eta) - Date.now()) / 1000) : 0 },
    async start() {
      busy = true
      error = null
      try {
        begun = (await call<Job>('POST', path(), { body: what() })).data
      } catch (e) { error = e as Failure }
      busy = false
    },
    retry() {
      again = job?.failed?.map((f) => f.item) ?? null
      begun = plan = null
    },
  }
}
