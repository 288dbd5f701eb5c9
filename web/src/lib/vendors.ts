// The upstreams that the wizard offers: where they are, and the name that clients know them by.
import type { Key } from './i18n'

export interface Vendor { key: string; label: string; words?: Key; sub: string; type: string; url: string; ns: string; project: string; account: Key }
export const vendors: Vendor[] = [
  { key: 'hub', label: 'Docker Hub', sub: 'docker.io', type: 'docker-hub', url: 'https://hub.docker.com', ns: 'docker.io', project: 'dockerhub', account: 'upstream.anonymous_hub' },
  { key: 'ghcr', label: 'GitHub', sub: 'ghcr.io', type: 'github-ghcr', url: 'https://ghcr.io', ns: 'ghcr.io', project: 'github', account: 'upstream.private_packages' },
  { key: 'quay', label: 'Quay', sub: 'quay.io', type: 'quay', url: 'https://quay.io', ns: 'quay.io', project: 'quay', account: 'upstream.private_repositories' },
  { key: 'k8s', label: 'Kubernetes', sub: 'registry.k8s.io', type: 'docker-registry', url: 'https://registry.k8s.io', ns: 'registry.k8s.io', project: 'kubernetes', account: 'upstream.not_needed' },
  { key: 'mcr', label: 'Microsoft', sub: 'mcr.microsoft.com', type: 'docker-registry', url: 'https://mcr.microsoft.com', ns: 'mcr.microsoft.com', project: 'microsoft', account: 'upstream.not_needed' },
  { key: 'ecr', label: 'Amazon', sub: 'public.ecr.aws', type: 'docker-registry', url: 'https://public.ecr.aws', ns: 'public.ecr.aws', project: 'amazon', account: 'upstream.not_needed' },
  { key: 'google', label: 'Google', sub: '*.pkg.dev', type: 'google-gcr', url: '', ns: '', project: 'google', account: 'upstream.private_images' },
  { key: 'harbor', label: '', words: 'upstream.harbor', sub: '', type: 'harbor', url: '', ns: '', project: 'upstream', account: 'upstream.private_projects' },
  { key: 'any', label: '', words: 'upstream.any', sub: '', type: 'docker-registry', url: '', ns: '', project: 'upstream', account: 'upstream.where_asked' },
]
export const clientKinds: [string, string][] = [
  ['containerd', 'containerd'],
  ['docker', 'Docker'],
  ['podman', 'Podman'],
  ['crio', 'CRI-O'],
  ['k3s', 'k3s'],
  ['rke2', 'RKE2'],
  ['buildkit', 'BuildKit'],
  ['kubernetes', 'Kubernetes'],
  ['helm', 'Helm'],
  ['ci', 'CI'],
]
// Those that have no mirrors: they say our name.
export const byName = new Set(['kubernetes', 'helm', 'ci'])
export const clientNotes: Record<string, Key> = {
  containerd: 'client.containerd',
  docker: 'client.docker',
  podman: 'client.podman',
  crio: 'client.crio',
  k3s: 'client.k3s',
  rke2: 'client.rke2',
  buildkit: 'client.buildkit',
  kubernetes: 'client.kubernetes',
  helm: 'client.helm',
  ci: 'client.ci',
}
