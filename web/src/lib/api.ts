import { t } from './i18n'
// One call, one reply. The session is a cookie; the CSRF token of the last reply is echoed.
export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly request: string,
  ) {
    super(message)
  }
}

export interface Reply<T> {
  data: T
  total: number
}

let csrf = ''
let onExpired: () => void = () => {}
export function whenExpired(f: () => void) {
  onExpired = f
}

function failure(status: number, request: string, text: string): Failure {
  try {
    const error = JSON.parse(text).errors[0]
    return new Failure(status, error.code, error.message, request)
  } catch {
    return new Failure(status, '', text.slice(0, 300) || t('error.bare_status', { status: String(status) }), request)
  }
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let reply: Response
  try {
    reply = await fetch(path, { credentials: 'same-origin', redirect: 'error', ...init })
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e
    throw new Failure(0, 'OFFLINE', t('error.offline'), '')
  }
  csrf = reply.headers.get('X-Harbor-CSRF-Token') ?? csrf
  return reply
}

export interface Options {
  signal?: AbortSignal
  quiet?: boolean // a 401 is an answer, not an expired session
  poll?: boolean // does not keep the session alive
  body?: unknown
}

export async function call<T>(method: string, path: string, o: Options = {}): Promise<Reply<T>> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (method !== 'GET') headers['X-Harbor-CSRF-Token'] = csrf
  if (o.body !== undefined) headers['Content-Type'] = 'application/json'
  if (o.poll) headers['X-Harbor-No-Session-Renewal'] = 'true'
  const reply = await send(path, {
    method,
    headers,
    signal: o.signal ?? null,
    body: o.body === undefined ? null : JSON.stringify(o.body),
  })
  const text = await reply.text()
  if (!reply.ok) {
    if (reply.status === 401 && !o.quiet) onExpired()
    throw failure(reply.status, reply.headers.get('X-Request-Id') ?? '', text)
  }
  const json = reply.headers.get('Content-Type')?.includes('json') && text
  return { data: (json ? JSON.parse(text) : text) as T, total: Number(reply.headers.get('X-Total-Count') ?? 0) }
}

export const get = <T>(path: string, o: Options = {}) => call<T>('GET', path, o)

export async function login(name: string, password: string): Promise<void> {
  await call('GET', '/api/version', { quiet: true })
  const reply = await send('/c/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Harbor-CSRF-Token': csrf },
    body: new URLSearchParams({ principal: name, password }),
  })
  if (!reply.ok) throw failure(reply.status, reply.headers.get('X-Request-Id') ?? '', await reply.text())
}

// The bytes of a manifest as the registry gives them, with a token for just that.
export async function manifest(name: string, digest: string, signal?: AbortSignal): Promise<string> {
  const scope = `repository:${name}:pull`
  const { data } = await get<{ token: string }>(`/service/token?service=harbor-registry&scope=${encodeURIComponent(scope)}`)
  const reply = await send(`/v2/${name}/manifests/${digest}`, {
    headers: { Authorization: 'Bearer ' + data.token, Accept: '*/*' },
    signal: signal ?? null,
  })
  const text = await reply.text()
  if (!reply.ok) throw failure(reply.status, reply.headers.get('X-Request-Id') ?? '', text)
  return text
}

export const harbor = '/api/v2.0'
export const cove = '/api/cove/v1'
// Slashes in a repository's name are escaped twice in Harbor's paths.
export const repoPath = (project: string, repo: string) =>
  `${harbor}/projects/${encodeURIComponent(project)}/repositories/${encodeURIComponent(encodeURIComponent(repo))}`
