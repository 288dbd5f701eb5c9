// One call, one reply. The session is a cookie; the CSRF token of the last reply is echoed.
import { t } from './i18n'
import { mode } from './mode.svelte'
import { reached, unreachable } from './reach.svelte'

export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly request: string,
    readonly retryAt = 0, // when another try makes sense, ms; 0: any time
  ) {
    super(message)
  }
}

export interface Reply<T> {
  data: T
  total: number
  more: boolean // the count stopped at its limit
  next: string // the cursor of the next rows; '' at the end
}

let csrf = ''
let onExpired: () => void = () => {}
export function whenExpired(f: () => void) {
  onExpired = f
}

async function failure(reply: Answer): Promise<Failure> {
  const request = reply.headers.get('X-Request-Id') ?? ''
  const wait = Number(reply.headers.get('Retry-After'))
  const retryAt = wait > 0 ? Date.now() + 1000 * Math.min(wait, 86400) : 0
  const text = await reply.text()
  try {
    const error = JSON.parse(text).errors[0]
    return new Failure(reply.status, error.code, error.message, request, retryAt)
  } catch {
    return new Failure(reply.status, '', text.slice(0, 300) || t('error.bare_status', { status: String(reply.status) }), request, retryAt)
  }
}

// start.ts has asked for what the page begins with before the program was there; an answer is good once.
function first(path: string): Promise<Answer> | undefined {
  const early = window.early
  const reply = early && performance.now() < early.until ? early.replies[path] : undefined
  if (reply) delete early!.replies[path]
  return reply
}

let asked = 0 // calls so far
let told = 0 // the latest of those that were answered
async function send(path: string, init: RequestInit): Promise<Answer> {
  const mine = ++asked
  let reply: Answer
  try {
    reply = await ((init.method === 'GET' && first(path)) || fetch(path, { credentials: 'same-origin', redirect: 'error', ...init }))
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e
    unreachable()
    throw new Failure(0, 'OFFLINE', t('error.offline'), '')
  }
  reached()
  // An answer that was overtaken says what was, not what is.
  if (mine > told) [told, mode.readOnly] = [mine, reply.headers.get('X-Cove-Read-Only') !== null]
  csrf = reply.headers.get('X-Harbor-CSRF-Token') ?? csrf
  return reply
}

export interface Options {
  signal?: AbortSignal
  quiet?: boolean // a 401 is an answer, not an expired session
  poll?: boolean // does not keep the session alive
  body?: unknown
}

const nextCursor = (reply: Answer) => {
  const link = /<([^>]+)>;\s*rel="?next"?/.exec(reply.headers.get('Link') ?? '')
  return (link && new URL(link[1]!, location.origin).searchParams.get('cursor')) || ''
}

export let changed = 0 // when the console changed something last, ms: what was read before may be old

// What was heard last, with its tag: a poll that hears 304 has it again, as a new object, because some go
// on when they are given one.
const heard = new Map<string, { tag: string; reply: Reply<unknown> }>()
function hear<T>(path: string, tag: string | null, reply: Reply<T>): Reply<T> {
  heard.delete(path)
  if (tag) heard.set(path, { tag, reply })
  if (heard.size > 30) heard.delete(heard.keys().next().value!)
  return reply
}

const again = <T>(r: Reply<T>): Reply<T> => ({ ...r, data: (Array.isArray(r.data) ? [...r.data] : r.data && typeof r.data === 'object' ? { ...r.data } : r.data) as T })

export async function call<T>(method: string, path: string, o: Options = {}): Promise<Reply<T>> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (method !== 'GET') headers['X-Harbor-CSRF-Token'] = csrf
  if (o.body !== undefined) headers['Content-Type'] = 'application/json'
  const before = o.poll && method === 'GET' ? heard.get(path) : undefined
  if (o.poll) headers['X-Harbor-No-Session-Renewal'] = 'true'
  if (before) headers['If-None-Match'] = before.tag
  const reply = await send(path, {
    method,
    headers,
    signal: o.signal ?? null,
    body: o.body === undefined ? null : JSON.stringify(o.body),
  })
  if (before && reply.status === 304) return again(before.reply as Reply<T>)
  if (!reply.ok) {
    if (reply.status === 401 && !o.quiet) onExpired()
    throw await failure(reply)
  }
  if (method !== 'GET') changed = Date.now()
  const text = await reply.text()
  const json = reply.headers.get('Content-Type')?.includes('json') && text
  const whole: Reply<T> = {
    data: (json ? JSON.parse(text) : text) as T,
    total: Number(reply.headers.get('X-Total-Count') ?? 0),
    more: reply.headers.has('X-Total-Is-Limit'),
    next: nextCursor(reply),
  }
  return method === 'GET' && json ? hear(path, reply.headers.get('ETag'), whole) : whole
}

export const get = <T>(path: string, o: Options = {}) => call<T>('GET', path, o)

export async function login(name: string, password: string): Promise<void> {
  await call('GET', '/api/version', { quiet: true })
  const reply = await send('/c/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Harbor-CSRF-Token': csrf },
    body: new URLSearchParams({ principal: name, password }),
  })
  if (!reply.ok) throw await failure(reply)
}

// The bytes of a manifest or a small blob as the registry gives them, with a token for just that.
async function pull(name: string, path: string, signal?: AbortSignal): Promise<string> {
  const scope = `repository:${name}:pull`
  const { data } = await get<{ token: string }>(`/service/token?service=harbor-registry&scope=${encodeURIComponent(scope)}`)
  const reply = await send(`/v2/${name}/${path}`, {
    headers: { Authorization: 'Bearer ' + data.token, Accept: '*/*' },
    signal: signal ?? null,
  })
  if (!reply.ok) throw await failure(reply)
  return reply.text()
}
export const manifest = (name: string, digest: string, signal?: AbortSignal) => pull(name, `manifests/${digest}`, signal)
export const blob = (name: string, digest: string, signal?: AbortSignal) => pull(name, `blobs/${digest}`, signal)

export { cove, harbor, repoPath } from './paths'
