// Where the server's calls are. Slashes in a repository's name are escaped twice.
export const harbor = '/api/v2.0'
export const cove = '/api/cove/v1'

const name = encodeURIComponent
export const repoPath = (project: string, repo: string) => `${harbor}/projects/${name(project)}/repositories/${name(name(repo))}`
export const artifactPath = (project: string, repo: string, rest: string) => `${cove}/projects/${name(project)}/repositories/${name(name(repo))}/${rest}`
// What pages begin with: they ask for it, and start.ts before them (routes.ts).
export const me = `${harbor}/users/current`
export const summaryOf = (range: string) => `${cove}/cache/summary?range=${range || '24h'}`
export const projectPath = (project: string) => `${harbor}/projects/${name(project)}`
export const projectSummary = (project: string) => projectPath(project) + '/summary'
export const movesPath = (project: string, repo: string) => artifactPath(project, repo, 'moves?page_size=100')
export const storage = `${cove}/storage`
export const settings = `${cove}/settings`
export const byDigest = (start: string) => `${cove}/artifacts?digest=${name(start)}`
// What the caller may in a project; 0: in the system.
export const rightsPath = (project: number) => `${harbor}/users/current/permissions?scope=${project ? `/project/${project}` : '/system'}&relative=true`

// What a list begins with: `find` are its conditions, all of which must hold.
const list = (path: string, sort: string, find: string[]) => `${path}?sort=${sort}` + (find.length ? `&q=${name(find.join(','))}` : '')
function projectTerms(q: URLSearchParams) {
  const [filter, access] = [q.get('filter'), q.get('access')]
  return [...(filter ? [`name=~${filter}`] : []), ...(access ? [`is_public=${access === 'public'}`] : [])]
}
export const projectList = (q: URLSearchParams) => list(`${cove}/projects`, q.get('sort') || 'name', projectTerms(q))
export const projectQuery = (q: URLSearchParams) => projectTerms(q).join(',') // the same as the server's q=
export const repositoryList = (project: string, q: URLSearchParams) =>
  list(`${cove}/projects/${name(project)}/repositories`, q.get('sort') || 'name', q.get('filter') ? [`name=~${q.get('filter')}`] : [])
export const tagList = (project: string, repo: string, q: URLSearchParams) =>
  list(artifactPath(project, repo, 'tags'), q.get('sort') || '-push_time', q.get('filter') ? [`name=~${q.get('filter')}`] : [])
export const artifactList = (project: string, repo: string, q: URLSearchParams) =>
  list(artifactPath(project, repo, 'artifacts'), q.get('sort') || '-push_time', []) + (q.get('filter') ? `&tag=${name(q.get('filter')!)}` : '')
export const LIST_PAGE = 100
export const listPage = (of: string, cursor = '', page = 1) => `${of}&page_size=${LIST_PAGE}&cursor=${name(cursor)}${page > 1 ? `&page=${page}` : ''}`
