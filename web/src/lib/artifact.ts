// Artifacts as the console shows them: the shapes of the server's replies, and words for what they say.
import { bytes, tiny } from './format'
import { t, type Key } from './i18n'
import type { Move, Platform } from './types'

export interface RowTag { name: string; push_time: string; pull_time: string | null; checked_at?: string; pinned?: boolean }
export interface Attached { digest: string; type: string; artifact_type?: string; size: number; push_time: string }
export interface Row {
  id: number
  digest: string
  media_type: string
  artifact_type?: string
  type: string
  size: number
  push_time: string
  pull_time: string | null
  pulls: number
  pulls_30d: number[]
  signed: boolean
  platforms: string[]
  child_count: number
  tag_count: number
  tags: RowTag[]
  attached: Attached[]
}
export interface GraphNode {
  digest: string
  media_type: string
  artifact_type?: string
  type: string
  attached_as?: string
  size: number
  layers: number
  pulls: number
  stored: boolean
  tags: string[]
  push_time: string
  pull_time: string | null
}
export interface GraphEdge { from: string; to: string; kind: 'contains' | 'attached'; platform?: Platform | null }
export interface Graph { digest: string; truncated: boolean; nodes: GraphNode[]; edges: GraphEdge[] }
export interface Layer { digest: string; size: number; stored: boolean; command?: string; created?: string; artifacts: number; repositories: number }
export interface Layers {
  size: number
  shared: number
  artifacts: number
  repositories: number
  history: boolean
  platform?: string
  layers: Layer[]
  with: { repository: string; artifacts: number; layers: number }[]
}
export interface Kept {
  verdict: 'until_deleted' | 'immutable' | 'with_index' | 'pinned' | 'until_full'
  reasons: { reason: 'tagged' | 'pinned' | 'pin_pattern' | 'contained' | 'attached' | 'held_back' | 'immutable'; what?: string }[]
  last_used: string
  storage_limit: number
  storage_used: number
  free_floor?: string
  gc_grace_s: number
}
export interface Overview {
  project: string
  project_id: number
  proxy: boolean
  upstream?: string
  artifact: Row
  annotations: Record<string, string> | null
  graph: Graph
  layers: Layers
  kept: Kept
}

// Slashes in a repository's name are escaped twice.
export { artifactPath } from './paths'

export const platform = (p: Platform | null | undefined) =>
  p?.architecture && p.architecture !== 'unknown' ? [p.os, p.architecture, p.variant].filter(Boolean).join('/') : ''

// The most exact name: of versions the one with the most parts, else the first.
const exactness = (name: string) => (/^v?\d/.test(name) ? name.split('.').length : 0)
export const bestTag = (tags: RowTag[]) => tags.reduce<RowTag | undefined>((x, tag) => (!x || exactness(tag.name) > exactness(x.name) ? tag : x), undefined)

const media: Record<string, Key> = {
  'application/vnd.oci.image.index.v1+json': 'artifact.oci_index',
  'application/vnd.oci.image.manifest.v1+json': 'artifact.oci_image',
  'application/vnd.docker.distribution.manifest.v2+json': 'artifact.docker_image',
  'application/vnd.docker.distribution.manifest.list.v2+json': 'artifact.docker_list',
}
const ordinary = /image(\.config)?\.v1\+json$|container\.image\.v1/
export function kindOf(a: { media_type: string; artifact_type?: string; type: string }): string {
  if (a.artifact_type && !ordinary.test(a.artifact_type) && a.type !== 'IMAGE') return a.type.charAt(0) + a.type.slice(1).toLowerCase()
  const known = media[a.media_type]
  return known ? t(known) : t('artifact.artifact')
}
export const isIndex = (mediaType: string) => /index\.v1|manifest\.list/.test(mediaType)

// What something attached is, in a word: from Harbor's kind of it, or from its own type.
const kinds: [RegExp, Key][] = [
  [/^signature\./, 'artifact.signature'],
  [/spdx|cyclonedx|sbom|syft/i, 'artifact.sbom'],
  [/in-toto|slsa|provenance|attestation/i, 'artifact.provenance'],
  [/sarif|vuln|trivy/i, 'artifact.report'],
]
export function attachedAs(kind: string | undefined, type: string | undefined): string {
  const hit = kinds.find(([re]) => re.test(kind ?? '') || re.test(type ?? ''))
  return hit ? t(hit[1]) : (type?.replace(/^application\/(vnd\.)?/, '').replace(/\+json$/, '') ?? t('artifact.artifact'))
}

export const sizeAndLayers = (n: GraphNode) =>
  !n.stored ? t('artifact.not_here') : n.layers > 0 ? t('artifact.size_layers', { size: bytes(n.size), n: n.layers }) : bytes(n.size)

// A step of a build without what every builder writes before it.
export const step = (command: string) =>
  command.replace(/^\/bin\/sh -c #\(nop\)\s*/, '').replace(/^(RUN )?\|\d+ (\S+=\S* )*/, '').replace(/^\/bin\/sh -c /, 'RUN ').replace(/ # buildkit$/, '').replace(/\s+/g, ' ').trim()

export function told(m: Move): string {
  const what = t(m.kind === 'move' ? (m.upstream ? (m.old_digest ? 'artifact.upstream_moved' : 'artifact.upstream_first') : m.new_digest ? (m.old_digest ? 'artifact.moved' : 'artifact.made') : 'artifact.removed')
    : m.kind === 'point' ? 'artifact.pointed'
    : m.kind === 'unpin' ? 'artifact.unpinned'
    : m.kind === 'held' ? 'artifact.held'
    : m.kind === 'released' ? 'artifact.released'
    : m.kind === 'excepted' ? 'artifact.excepted' : 'artifact.passed')
  const by = m.who && m.who !== 'proxy' ? t(m.upstream ? 'artifact.seen_by' : 'artifact.by', { what, who: m.who }) : what
  return m.reason && m.kind !== 'held' ? t('artifact.with_reason', { what: by, reason: m.reason }) : by + '.'
}
// Lines that changed where the tag is; the others tell of decisions.
export const isChange = (m: Move) => m.kind === 'move' || m.kind === 'point'
// Others are counted up to a thousand.
export const upTo = (n: number): { n: number; many: string } => ({ n, many: n >= 1000 ? '+' : '' })
export const four = (digest: string) => (digest ? tiny(digest).slice(0, 4) : t('common.none'))

export const clients: [string, string][] = [['docker', 'docker'], ['podman', 'podman'], ['nerdctl', 'nerdctl'], ['crictl', 'crictl'], ['skopeo', 'skopeo']]
export function pullCommand(client: string, image: string): [string, string] {
  if (client === 'skopeo') return ['skopeo copy ', `docker://${image} oci:${image.split('/').pop()!.replace(/[@:].*/, '')}`]
  return [`${client} pull `, image]
}
