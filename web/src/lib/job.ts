// Jobs in words.
import type { Key } from './i18n'
import type { Job } from './types'

const kinds: Record<string, Key> = { gc: 'job.kind_gc', scrub: 'job.kind_scrub', refresh: 'job.kind_refresh', bulk: 'job.kind_bulk' }
export const jobWord = (job: Job): Key => (job.kind === 'gc' && job.params.dry_run ? 'job.kind_gc_dry' : (kinds[job.kind] ?? 'job.kind_other'))
export const jobLive = (job: Job) => job.state === 'queued' || job.state === 'running'
const states: Record<string, Key> = { done: 'job.state_done', failed: 'job.state_failed', stopped: 'job.state_stopped', interrupted: 'job.state_interrupted', queued: 'job.queued', running: 'job.running' }
export const jobState = (job: Job): Key => states[job.state] ?? 'job.running'
