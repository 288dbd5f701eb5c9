// Jobs that somebody asked for here, until they are over. The bar (ui/JobBar) shows them on whatever page one
// goes on working; one that went wholly well says so and leaves, one with failures stays until it is put away.
import { cove, get, type Failure } from './api'
import { toast } from './toast.svelte'
import type { Job } from './types'

export interface Watched {
  doing: string // "Deleting"
  where: string // "in team-07/web"; '' in several places
  name: (item: string) => string // of what failed
  said: (job: Job) => string // when all of it went well
  again: (items: string[]) => Promise<Job> // those alone
  ended: (job: Job, all: boolean) => void
}
export interface Work extends Watched {
  key: number
  job: Job
  error: Failure | null
  shown: boolean // what is over at once needs no bar
}

export const works = $state<Work[]>([])
const POLL_MS = 500
let last = 0

export const all = (job: Job) => job.state === 'done' && !job.failed_count
export const putAway = (w: Work) => void works.splice(works.findIndex((x) => x.key === w.key), 1)
export function forgetWorks() {
  works.length = 0
}

function over(w: Work) {
  const well = all(w.job)
  w.ended(w.job, well)
  w.shown = true
  if (!well) return
  putAway(w)
  toast(w.said(w.job))
}
const later = (w: Work, ms: number) => setTimeout(() => void look(w), ms)
async function look(w: Work) {
  if (!works.some((x) => x.key === w.key)) return // put away, or somebody else is signed in
  try {
    w.job = (await get<Job>(`${cove}/jobs/${w.job.id}`, { poll: true })).data
    w.error = null
  } catch (e) {
    w.error = e as Failure
    if (w.error.status === 403 || w.error.status === 404) return void (w.shown = true)
    return later(w, 4 * POLL_MS)
  }
  if (w.job.ended) return over(w)
  w.shown = true
  later(w, POLL_MS)
}

export function watch(job: Job, what: Watched) {
  works.push({ ...what, key: ++last, job, error: null, shown: false })
  later(works.at(-1)!, POLL_MS / 2)
}

export async function retry(w: Work) {
  try {
    w.job = await w.again((w.job.failed ?? []).map((f) => f.item))
    w.error = null
    later(w, POLL_MS)
  } catch (e) {
    w.error = e as Failure
  }
}
