// Every page: its address, the names of what stands in it, its file in pages/, and the calls it begins
// with, which start.ts sends while the program is still on its way. First match wins.
import { artifactList, artifactPath, listPage, movesPath, projectList, projectPath, projectSummary, repoPath, repositoryList, settings, storage, summaryOf, tagList } from './lib/paths'

export interface Route {
  at: RegExp
  names: string[]
  page: string
  asks?: (p: string[], q: URLSearchParams) => string[]
}

export const routes: Route[] = [
  { at: /^\/$/, names: [], page: 'Cache', asks: (_, q) => [summaryOf(q.get('range') ?? '')] },
  { at: /^\/projects$/, names: [], page: 'Projects', asks: (_, q) => [listPage(projectList(q))] },
  { at: /^\/new$/, names: [], page: 'NewProxy' },
  {
    at: /^\/projects\/([^/]+)$/,
    names: ['project'],
    page: 'Project',
    asks: ([p], q) => [projectPath(p!), projectSummary(p!), ...(q.get('tab') ? [] : [listPage(repositoryList(p!, q))])],
  },
  {
    at: /^\/projects\/([^/]+)\/repositories\/(.+)\/artifacts\/(sha\d+:[0-9a-f]+)$/,
    names: ['project', 'repo', 'digest'],
    page: 'Artifact',
    asks: ([p, r, d]) => [artifactPath(p!, r!, `artifacts/${d}`), movesPath(p!, r!)],
  },
  {
    at: /^\/projects\/([^/]+)\/repositories\/(.+)$/,
    names: ['project', 'repo'],
    page: 'Repository',
    asks: ([p, r], q) => [repoPath(p!, r!), ...(q.get('a') ? [] : [listPage((q.get('view') === 'tags' ? tagList : artifactList)(p!, r!, q))])],
  },
  { at: /^\/upstreams$/, names: [], page: 'Upstreams' },
  { at: /^\/storage$/, names: [], page: 'Storage', asks: () => [storage] },
  { at: /^\/jobs$/, names: [], page: 'Jobs' },
  { at: /^\/settings$/, names: [], page: 'Settings', asks: () => [settings] },
  { at: /^\/profile$/, names: [], page: 'Profile' },
  { at: /^\/connect$/, names: [], page: 'Connect' },
]

// The route of a path and what stands in it.
export function routeOf(path: string): { route: Route; params: string[] } | undefined {
  const p = path.length > 1 ? path.replace(/\/+$/, '') : '/'
  for (const route of routes) {
    const m = route.at.exec(p)
    if (m) return { route, params: m.slice(1).map(decodeURIComponent) }
  }
  return undefined
}
