import { t, type Key } from './i18n'
import type { Artifact, Platform, Tag } from './types'

const natural = new Intl.Collator('en', { numeric: true })
// Highest version first, words ("latest") before versions.
export const tagOrder = (tags: Tag[]) =>
  [...tags].sort((a, b) => {
    const x = /^v?\d/.test(a.name), y = /^v?\d/.test(b.name)
    return x === y ? (x ? natural.compare(b.name, a.name) : natural.compare(a.name, b.name)) : x ? 1 : -1
  })

export const platform = (p: Platform | null | undefined) =>
  p?.architecture && p.architecture !== 'unknown' ? [p.os, p.architecture, p.variant].filter(Boolean).join('/') : ''

export function platforms(a: Artifact): string {
  if (a.references?.length) return [...new Set(a.references.map((r) => platform(r.platform)).filter(Boolean))].join(', ')
  const x = a.extra_attrs as { os?: string; architecture?: string; variant?: string } | null
  return x?.architecture ? [x.os, x.architecture, x.variant].filter(Boolean).join('/') : ''
}

const names: Record<string, Key> = {
  'application/vnd.oci.image.index.v1+json': 'artifact.oci_index',
  'application/vnd.oci.image.manifest.v1+json': 'artifact.oci_image',
  'application/vnd.docker.distribution.manifest.v2+json': 'artifact.docker_image',
  'application/vnd.docker.distribution.manifest.list.v2+json': 'artifact.docker_list',
}
export function kindOf(a: Artifact): string {
  const known = names[a.manifest_media_type]
  return known ? t(known) : a.type ? a.type.charAt(0) + a.type.slice(1).toLowerCase() : t('artifact.artifact')
}

export const clients: [string, string][] = [['docker', 'docker'], ['podman', 'podman'], ['nerdctl', 'nerdctl'], ['crictl', 'crictl'], ['skopeo', 'skopeo']]
export function pullCommand(client: string, image: string): [string, string] {
  if (client === 'skopeo') return ['skopeo copy ', `docker://${image} oci:${image.split('/').pop()!.replace(/[@:].*/, '')}`]
  return [`${client} pull `, image]
}
