// The upstreams that the wizard offers: where they are, and the name that clients know them by.
export interface Vendor { key: string; label: string; sub: string; type: string; url: string; ns: string; project: string; account: string }
export const vendors: Vendor[] = [
  { key: 'hub', label: 'Docker Hub', sub: 'docker.io', type: 'docker-hub', url: 'https://hub.docker.com', ns: 'docker.io', project: 'dockerhub', account: 'Signed in, Docker Hub counts pulls per account, else per address.' },
  { key: 'ghcr', label: 'GitHub', sub: 'ghcr.io', type: 'github-ghcr', url: 'https://ghcr.io', ns: 'ghcr.io', project: 'github', account: 'Only needed for private packages.' },
  { key: 'quay', label: 'Quay', sub: 'quay.io', type: 'quay', url: 'https://quay.io', ns: 'quay.io', project: 'quay', account: 'Only needed for private repositories.' },
  { key: 'k8s', label: 'Kubernetes', sub: 'registry.k8s.io', type: 'docker-registry', url: 'https://registry.k8s.io', ns: 'registry.k8s.io', project: 'kubernetes', account: 'Not needed.' },
  { key: 'mcr', label: 'Microsoft', sub: 'mcr.microsoft.com', type: 'docker-registry', url: 'https://mcr.microsoft.com', ns: 'mcr.microsoft.com', project: 'microsoft', account: 'Not needed.' },
  { key: 'ecr', label: 'Amazon', sub: 'public.ecr.aws', type: 'docker-registry', url: 'https://public.ecr.aws', ns: 'public.ecr.aws', project: 'amazon', account: 'Not needed.' },
  { key: 'google', label: 'Google', sub: '*.pkg.dev', type: 'google-gcr', url: '', ns: '', project: 'google', account: 'Only needed for private images.' },
  { key: 'harbor', label: 'Harbor or Cove', sub: 'by address', type: 'harbor', url: '', ns: '', project: 'upstream', account: 'Only needed for private projects.' },
  { key: 'any', label: 'Any registry', sub: 'by address', type: 'docker-registry', url: '', ns: '', project: 'upstream', account: 'Only needed where the registry asks for one.' },
]
export const clientKinds: [string, string][] = [
  ['containerd', 'containerd'],
  ['docker', 'Docker'],
  ['podman', 'Podman'],
  ['crio', 'CRI-O'],
  ['k3s', 'k3s'],
  ['buildkit', 'BuildKit'],
]
export const clientNotes: Record<string, string> = {
  containerd: 'Kubernetes with containerd: one file for each upstream, no restart.',
  docker: 'Docker mirrors docker.io only, and only through the mirror address. Restart dockerd afterwards. For other upstreams pull by Cove’s name.',
  podman: 'Also for buildah and skopeo.',
  crio: 'The same file as Podman; reload CRI-O afterwards.',
  k3s: 'The same file for RKE2, in /etc/rancher/rke2. Restart the service afterwards.',
  buildkit: 'For docker buildx with a builder of its own: pass the file with --config.',
}
