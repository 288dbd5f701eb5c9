export interface User { user_id: number; username: string; realname: string; email: string; sysadmin_flag: boolean }
export interface Project {
  project_id: number
  name: string
  owner_name: string
  registry_id?: number
  repo_count: number
  current_user_role_id?: number
  creation_time: string
  update_time: string
  metadata: { public?: string; proxy_window_s?: string; proxy_max_stale_s?: string; proxy_ns?: string }
}
export interface Summary {
  repo_count: number
  quota?: { hard: { storage: number }; used: { storage: number } }
  registry?: Upstream
}
export interface Upstream {
  id: number
  name: string
  type: string
  url: string
  insecure: boolean
  description: string
  status: string
  credential?: { access_key?: string }
  creation_time: string
}
export interface Repository {
  id: number
  name: string
  artifact_count: number
  pull_count: number
  creation_time: string
  update_time: string
  description: string
}
export interface Platform { architecture: string; os: string; variant?: string }
export interface Quota {
  endpoint_id: number
  endpoint: string
  credential: string
  source?: string
  limit: number
  remaining: number
  window_s: number
  seen_at: string | null
}
export interface UpstreamState {
  id: number
  name: string
  state: string
  reason?: string
  quota: Omit<Quota, 'endpoint_id' | 'endpoint'>[] | null
}
export interface Move {
  id: number
  tag: string
  kind: string
  at: string
  who?: string
  upstream: boolean
  old_digest: string
  new_digest: string
  reason?: string
}
export interface ClientConfig { kind: string; url: string; mirror_url?: string; routes: number; text: string }
export interface ProjectRow {
  project_id: number
  name: string
  is_public: boolean
  registry_id?: number
  upstream?: string
  upstream_type?: string
  repo_count: number
  pull_count: number
  storage_used: number
  storage_limit: number
  role: number
  creation_time: string
  push_time: string | null
  pull_time: string | null
  requests_7d: number
  served_7d: number
}
export interface RepositoryRow {
  id: number
  name: string
  artifact_count: number
  tag_count: number
  pull_count: number
  size: number
  pull_days: number[]
  creation_time: string
  push_time: string | null
  pull_time: string | null
}
export interface Job {
  id: number
  kind: string
  state: string
  project?: string
  repository?: string
  by: string
  done: number
  total: number
  failed_count: number
  failed?: { item: string; reason: string }[]
  message?: string
  stop?: boolean
  created: string
  started: string | null
  ended: string | null
  eta: string | null
  params: Record<string, unknown>
  result: Record<string, unknown>
}
export interface StorageView {
  disk_total: number
  disk_free: number
  blobs: number
  blob_bytes: number
  manifests: number
  manifest_bytes: number
  shared_blobs: number
  shared_bytes: number
  saved_bytes: number
  uploads: number
  upload_bytes: number
  grace_s: number
  interval_s: number
  reclaim: { reason: string; blobs: number; bytes: number; until: string | null }[]
  projects: { project_id: number; name: string; registry_id?: number; used: number; limit: number }[]
}
export interface Setting { key: string; value: string; default: string; help: string; source: string; at?: string; secret?: boolean }
export interface TagRow { id: number; name: string; digest: string; type?: string; media_type: string; size: number; pinned?: boolean; push_time: string; pull_time: string | null }
