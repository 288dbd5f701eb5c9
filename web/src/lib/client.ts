// The server's texts for clients: told apart by file, and filled with who pulls.
export interface Who { name: string; secret: string }

const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)))

// The server leaves places: 'USER' and 'SECRET' in quotes, BASIC for both.
export function filled(text: string, who: Who | null): string {
  if (!who) return text
  return text
    .replace(/^# BASIC: .*\n/m, '')
    .replaceAll('Basic BASIC', () => `Basic ${base64(`${who.name}:${who.secret}`)}`)
    .replaceAll("'USER'", () => `'${who.name}'`)
    .replaceAll("'SECRET'", () => `'${who.secret}'`)
}

export interface TextFile { path: string; text: string }
const known: Record<string, string> = { docker: '/etc/docker/daemon.json' }

// A line "# /path" begins a file; what stands before the first are remarks.
export function filesOf(kind: string, text: string): { remarks: string[]; files: TextFile[] } {
  const remarks: string[] = []
  const files: TextFile[] = known[kind] ? [{ path: known[kind], text: '' }] : []
  for (const line of text.split('\n')) {
    const path = /^# (\/\S+)$/.exec(line)
    if (path) files.push({ path: path[1]!, text: '' })
    else if (files.length) files.at(-1)!.text += line + '\n'
    else if (line.startsWith('# ')) remarks.push(line.slice(2))
    else if (line.trim() || remarks.length === 0) files.push({ path: '', text: line + '\n' })
  }
  for (const f of files) f.text = f.text.replace(/^\n+/, '').trimEnd()
  return { remarks, files: files.filter((f) => f.text) }
}

// Names of settings, to be shown apart: the start of a line before = or :.
export function tokens(text: string): { key: boolean; text: string }[] {
  return text.split(/(^[ \t]*"?[\w-]+"?(?=[ \t]*[=:]))/m).filter(Boolean).map((part, i, all) => ({ key: /^[ \t]*"?[\w-]+"?$/.test(part) && /^[ \t]*[=:]/.test(all[i + 1] ?? ''), text: part }))
}

// A file for the person, made here.
export function download(name: string, text: string) {
  const a = document.createElement('a')
  a.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(a.href), 1000)
}
