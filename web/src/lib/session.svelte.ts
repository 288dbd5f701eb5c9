import { Failure, call, get, login, whenExpired } from './api'
import { whenBack } from './reach.svelte'
import { me, rightsPath } from './paths'
import type { User } from './types'

export const session = $state<{ user: User | null; system: ReadonlySet<string>; known: boolean; expired: boolean; error: Failure | null }>({
  user: null,
  system: new Set(), // what the caller may outside of projects
  known: false,
  expired: false,
  error: null,
})

// What is kept of the server's data says how it is forgotten and how asked for again (lib/resource).
let forget = () => {}
let refresh = () => {}
export function keeps(how: { forget: () => void; refresh: () => void }) {
  forget = how.forget
  refresh = how.refresh
}
// Whether somebody was signed in the last time: start.ts then asks for the page's data at once.
function noted(): boolean {
  try {
    return Boolean(localStorage.getItem('known'))
  } catch {
    return false
  }
}
function note(known: boolean) {
  try {
    if (known) localStorage.setItem('known', '1')
    else localStorage.removeItem('known')
  } catch {
    // private windows: the page asks a little later
  }
}

export async function whoAmI() {
  session.error = null
  const early = noted() ? rightsIn(0) : undefined // of nobody there is nothing to ask
  try {
    const { data } = await get<User>(me, { quiet: true })
    if (session.user?.user_id !== data.user_id) forget() // another person sees nothing of the one before
    session.system = await (early ?? rightsIn(0))
    session.user = data
    session.expired = false
    note(true)
  } catch (e) {
    if (e instanceof Failure && e.status === 401) {
      session.user = null
      note(false)
    } else session.error = e as Failure
  }
  session.known = true
}

export async function signIn(name: string, password: string) {
  await login(name, password)
  rights.clear()
  await whoAmI()
  refresh()
}

export async function signOut() {
  await call('GET', '/c/log_out', { quiet: true }).catch(() => {})
  session.user = null
  note(false)
  forget()
  rights.clear()
}

whenBack(() => refresh())
whenExpired(() => {
  if (session.user) session.expired = true
})

// May the caller do this outside of projects?
export const can = (resource: string, action: string) => session.system.has(`${resource}:${action}`)

// What the caller may in a project (0: in the system): asked once, kept. The server decides; this only hides
// what it would refuse. Who has rights in the system has all of them in every project.
const rights = new Map<number, Promise<Set<string>>>()
class Everything extends Set<string> {
  override has() { return true }
}
export function rightsIn(projectId: number): Promise<Set<string>> {
  let known = rights.get(projectId)
  if (!known) {
    const asked = async () => {
      if (projectId && (await rightsIn(0)).size) return new Everything()
      const { data } = await get<{ resource: string; action: string }[]>(rightsPath(projectId), { quiet: !projectId })
      return new Set(data.map((p) => `${p.resource === '.' ? 'project' : p.resource}:${p.action}`))
    }
    known = asked().catch(() => {
      rights.delete(projectId)
      return new Set<string>()
    })
    rights.set(projectId, known)
  }
  return known
}
