// Where the boxes of a graph stand: what contains the artifact, the artifact, what it contains, what is
// attached to any of these; each kind a column.
import type { Graph, GraphNode } from './artifact'
import { platform } from './artifact'

export interface Box { node: GraphNode; column: number; row: number; platform: string; more: number }
export interface Edge { from: number; to: number; dashed: boolean } // places in boxes
export interface Drawing { columns: ('above' | 'this' | 'contains' | 'attached')[]; boxes: Box[]; edges: Edge[]; rows: number }

export function draw(g: Graph, most = 10): Drawing {
  const byDigest = new Map(g.nodes.map((n) => [n.digest, n]))
  const root = byDigest.get(g.digest)
  if (!root) return { columns: [], boxes: [], edges: [], rows: 0 }
  const attachedTo = new Map(g.edges.filter((e) => e.kind === 'attached').map((e) => [e.to, e.from]))
  const platforms = new Map(g.edges.filter((e) => e.platform).map((e) => [e.to, platform(e.platform)]))
  const above = g.edges.filter((e) => e.to === g.digest && e.from !== g.digest).map((e) => e.from)
  const contains = g.edges.filter((e) => e.kind === 'contains' && e.to !== g.digest && !attachedTo.has(e.to)).map((e) => e.to)
  const attached = [...attachedTo.keys()].filter((d) => d !== g.digest && !above.includes(d))
  // What is attached stands in the order of what it is attached to, so that lines cross little.
  const order = [...contains, g.digest]
  attached.sort((a, b) => order.indexOf(attachedTo.get(a)!) - order.indexOf(attachedTo.get(b)!))
  const all: [Drawing['columns'][number], string[]][] = [['above', above], ['this', [g.digest]], ['contains', contains], ['attached', attached]]
  const columns = all.filter(([, d]) => d.length)
  const boxes: Box[] = []
  const place = new Map<string, number>()
  const rows = Math.max(...columns.map(([, d]) => Math.min(new Set(d).size, most)))
  columns.forEach(([, digests], column) => {
    const some = [...new Set(digests)]
    const shown = some.slice(0, some.length > most ? most - 1 : most)
    const height = shown.length + (some.length > shown.length ? 1 : 0)
    some.slice(0, height).forEach((d, i) => {
      const node = byDigest.get(d)
      if (!node) return
      place.set(d, boxes.length)
      const more = i >= shown.length ? some.length - shown.length : 0
      boxes.push({ node, column, row: (rows - height) / 2 + i, platform: platforms.get(d) ?? '', more })
    })
  })
  const edges = g.edges.flatMap((e): Edge[] => {
    const from = place.get(e.from), to = place.get(e.to)
    if (from === undefined || to === undefined || (e.kind === 'contains' && attachedTo.has(e.to) && e.to !== g.digest)) return []
    return [{ from, to, dashed: e.kind === 'attached' }]
  })
  return { columns: columns.map(([c]) => c), boxes, edges, rows }
}
