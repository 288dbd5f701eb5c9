// The journal of tags as bars: which digest a tag had from when to when.
import { isChange } from './artifact'
import type { Move } from './types'

export interface Bar { digest: string; from: number; to: number; open: boolean } // open: it still is
export interface Lane { tag: string; bars: Bar[] }
export interface Timeline { from: number; to: number; lanes: Lane[]; ticks: number[] }

const steps = [60e3, 300e3, 900e3, 3600e3, 3 * 3600e3, 6 * 3600e3, 86400e3, 2 * 86400e3, 7 * 86400e3, 14 * 86400e3, 30 * 86400e3, 90 * 86400e3, 365 * 86400e3]

// Moments between from and to that are round in local time, at most `most`.
export function ticksOf(from: number, to: number, most = 4): number[] {
  const step = steps.find((s) => (to - from) / s <= most) ?? steps[steps.length - 1]!
  const out: number[] = []
  if (step >= 28 * 86400e3) {
    const d = new Date(from)
    const months = Math.max(1, Math.round(step / (30 * 86400e3)))
    for (let m = new Date(d.getFullYear(), d.getMonth() + 1, 1); m.getTime() < to; m = new Date(m.getFullYear(), m.getMonth() + months, 1)) out.push(m.getTime())
    return out
  }
  const zone = new Date(from).getTimezoneOffset() * 60e3
  for (let at = Math.ceil((from - zone) / step) * step + zone; at < to; at += step) out.push(at)
  return out
}

// Lines come newest first. The artifact's own tags first, then those that had it, then the liveliest.
export function timeline(lines: Move[], digest: string, now: number, most = 8): Timeline {
  const changes = lines.filter(isChange)
  const byTag = new Map<string, Move[]>()
  for (const m of changes) byTag.set(m.tag, [m, ...(byTag.get(m.tag) ?? [])])
  const first = changes.length ? Math.min(...changes.map((m) => Date.parse(m.at))) : now
  const span = Math.max(now - first, 60e3)
  const from = first - span * 0.02
  const lanes = [...byTag].map(([tag, moves]) => {
    const bars: Bar[] = []
    if (moves[0]!.old_digest) bars.push({ digest: moves[0]!.old_digest, from, to: Date.parse(moves[0]!.at), open: false })
    moves.forEach((m, i) => {
      const next = moves[i + 1]
      if (m.new_digest) bars.push({ digest: m.new_digest, from: Date.parse(m.at), to: next ? Date.parse(next.at) : now, open: !next })
    })
    return { tag, bars }
  })
  const rank = (l: Lane) => (l.bars.some((b) => b.open && b.digest === digest) ? 0 : l.bars.some((b) => b.digest === digest) ? 1 : 2)
  lanes.sort((a, b) => rank(a) - rank(b) || b.bars.length - a.bars.length)
  return { from, to: now, lanes: lanes.slice(0, most), ticks: ticksOf(from, now) }
}
