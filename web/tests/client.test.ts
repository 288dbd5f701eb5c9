import { describe, expect, test } from 'vitest'
import { filesOf, filled, tokens } from '../src/lib/client'

const containerd = `# In /etc/containerd/config.toml: config_path = "/etc/containerd/certs.d"

# /etc/containerd/certs.d/docker.io/hosts.toml
server = "https://registry-1.docker.io"

[host."https://cove"]
  capabilities = ["pull", "resolve"]

# /etc/containerd/certs.d/ghcr.io/hosts.toml
server = "https://ghcr.io"
`

describe('texts for clients', () => {
  test('are told apart by file', () => {
    const { remarks, files } = filesOf('containerd', containerd)
    expect(remarks).toHaveLength(1)
    expect(files.map((f) => f.path)).toEqual(['/etc/containerd/certs.d/docker.io/hosts.toml', '/etc/containerd/certs.d/ghcr.io/hosts.toml'])
    expect(files[0]!.text.startsWith('server = ')).toBe(true)
    expect(files[0]!.text.endsWith('"resolve"]')).toBe(true)
    expect(filesOf('docker', '{\n  "registry-mirrors": []\n}\n').files).toEqual([{ path: '/etc/docker/daemon.json', text: '{\n  "registry-mirrors": []\n}' }])
    expect(filesOf('helm', 'helm a\nhelm b\n').files.map((f) => f.text).join('\n')).toContain('helm b')
  })
  test('are filled with who pulls, and with nothing else', () => {
    const who = { name: 'robot$hub+ci', secret: 'a$&b' }
    expect(filled("docker login --username 'USER' --password 'SECRET'", who)).toBe("docker login --username 'robot$hub+ci' --password 'a$&b'")
    expect(filled('# BASIC: how\nAuthorization = "Basic BASIC"\n', who)).toBe(`Authorization = "Basic ${btoa('robot$hub+ci:a$&b')}"\n`)
    expect(filled('"$COVE_USER"', who)).toBe('"$COVE_USER"')
    expect(filled("'USER'", null)).toBe("'USER'")
  })
  test('names of settings are set apart', () => {
    expect(tokens('server = "x"\n[host]\n  a = 1').filter((k) => k.key).map((k) => k.text.trim())).toEqual(['server', 'a'])
    expect(tokens('no setting').every((k) => !k.key)).toBe(true)
    expect(tokens('a = 1\nb: 2').map((k) => k.text).join('')).toBe('a = 1\nb: 2')
  })
})
