// What is reckoned of artifacts: names, steps, the timeline of tags, the places of a graph.
import { expect, test } from 'vitest'
import { attachedAs, bestTag, kindOf, platform, step, told, type Graph, type RowTag } from '../src/lib/artifact'
import { draw } from '../src/lib/graph'
import { ticksOf, timeline } from '../src/lib/timeline'
import type { Move } from '../src/lib/types'

const tags = (...names: string[]) => names.map((name) => ({ name }) as RowTag)
test.each([
  [['latest', '1.27.3', '1.27'], '1.27.3'],
  [['latest', 'stable'], 'latest'],
  [['v2'], 'v2'],
  [[], undefined],
])('of %j the title is %s', (names, best) => expect(bestTag(tags(...names))?.name).toBe(best))

test('attestations have no platform', () => {
  expect(platform({ os: 'linux', architecture: 'arm64', variant: 'v8' })).toBe('linux/arm64/v8')
  expect(platform({ os: 'unknown', architecture: 'unknown' })).toBe('')
  expect(platform(null)).toBe('')
})

test.each([
  ['/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'],
  ['/bin/sh -c apt-get   update', 'RUN apt-get update'],
  ['RUN |1 A=b /bin/sh -c make # buildkit', 'RUN make'],
  ['COPY /a /b # buildkit', 'COPY /a /b'],
])('%s is shown as %s', (made, shown) => expect(step(made)).toBe(shown))

test('what is attached is called by what it is', () => {
  expect(attachedAs('signature.cosign', 'application/vnd.dev.cosign.artifact.sig.v1+json')).toBe('Signature')
  expect(attachedAs('subject.accessory', 'application/spdx+json')).toBe('SBOM')
  expect(attachedAs('subject.accessory', 'application/vnd.in-toto+json')).toBe('Provenance')
  expect(attachedAs('subject.accessory', 'application/vnd.acme.thing+json')).toBe('acme.thing')
  expect(kindOf({ media_type: 'application/vnd.oci.image.index.v1+json', type: 'IMAGE' })).toBe('OCI image index')
  expect(kindOf({ media_type: 'application/vnd.oci.image.manifest.v1+json', artifact_type: 'application/vnd.cncf.helm.config.v1+json', type: 'CHART' })).toBe('Chart')
})

let id = 100
const move = (tag: string, at: number, old_digest: string, new_digest: string, more: Partial<Move> = {}): Move =>
  ({ id: --id, tag, kind: 'move', at: new Date(at).toISOString(), upstream: false, old_digest, new_digest, ...more })
const DAY = 86400e3
const NOW = Date.parse('2026-11-24T12:00:00Z')

test('a move says what happened, who saw it and why', () => {
  expect(told(move('a', NOW, 'x', 'y', { upstream: true, who: 'ci' }))).toBe('Upstream moved the tag; seen by a pull from ci.')
  expect(told(move('a', NOW, 'x', 'y', { kind: 'point', who: 'anna', reason: 'it breaks' }))).toBe('The tag was pointed here by anna. Reason: “it breaks”.')
  expect(told(move('a', NOW, 'x', ''))).toBe('The tag was removed.')
})

test('the timeline is a bar for each digest that a tag had', () => {
  const lines = [
    move('latest', NOW - DAY, 'sha256:b', 'sha256:c'),
    move('other', NOW - 2 * DAY, '', 'sha256:z'),
    move('latest', NOW - 5 * DAY, 'sha256:b', 'sha256:b', { kind: 'held' }), // a decision moves nothing
    move('latest', NOW - 10 * DAY, 'sha256:a', 'sha256:b'),
  ]
  const line = timeline(lines, 'sha256:c', NOW)
  expect(line.lanes.map((l) => l.tag)).toEqual(['latest', 'other'])
  const bars = line.lanes[0]!.bars
  expect(bars.map((b) => [b.digest, b.open])).toEqual([['sha256:a', false], ['sha256:b', false], ['sha256:c', true]])
  expect(bars[0]!.from).toBe(line.from) // what was before the first line
  expect(bars[1]!.to).toBe(NOW - DAY)
  expect(bars[2]!.to).toBe(NOW)
})

test('a tag that was removed ends', () => {
  const line = timeline([move('t', NOW - DAY, 'sha256:a', ''), move('t', NOW - 2 * DAY, '', 'sha256:a')], 'sha256:a', NOW)
  expect(line.lanes[0]!.bars).toEqual([{ digest: 'sha256:a', from: NOW - 2 * DAY, to: NOW - DAY, open: false }])
})

test('ticks are few and inside, whatever the span', () => {
  for (const span of [60e3, 3600e3, DAY, 40 * DAY, 900 * DAY]) {
    const ticks = ticksOf(NOW - span, NOW)
    expect(ticks.length).toBeLessThanOrEqual(5)
    expect(ticks.every((x) => x >= NOW - span && x < NOW)).toBe(true)
  }
})

const node = (digest: string, more = {}) => ({ digest, media_type: '', type: '', size: 1, layers: 1, pulls: 0, stored: true, tags: [], push_time: '', pull_time: null, ...more })
test('a graph has its columns: above, this, contains, attached', () => {
  const graph: Graph = {
    digest: 'i', truncated: false,
    nodes: ['i', 'amd', 'arm', 'seal', 'sig', 'sbom'].map((d) => node(d)),
    edges: [
      { from: 'i', to: 'amd', kind: 'contains', platform: { os: 'linux', architecture: 'amd64' } },
      { from: 'i', to: 'arm', kind: 'contains', platform: { os: 'linux', architecture: 'arm64' } },
      { from: 'i', to: 'seal', kind: 'contains', platform: { os: 'unknown', architecture: 'unknown' } },
      { from: 'amd', to: 'seal', kind: 'attached' }, // of BuildKit: a child, drawn where it belongs
      { from: 'arm', to: 'sig', kind: 'attached' },
      { from: 'i', to: 'sbom', kind: 'attached' },
    ],
  }
  const d = draw(graph)
  expect(d.columns).toEqual(['this', 'contains', 'attached'])
  expect(d.boxes.filter((b) => b.column === 1).map((b) => b.platform)).toEqual(['linux/amd64', 'linux/arm64'])
  expect(d.boxes.filter((b) => b.column === 2).map((b) => b.node.digest)).toEqual(['seal', 'sig', 'sbom'])
  expect(d.edges.filter((e) => !e.dashed)).toHaveLength(2)
  expect(d.edges.filter((e) => e.dashed)).toHaveLength(3)
  // from a child: the index is above
  expect(draw({ ...graph, digest: 'amd', edges: [graph.edges[0]!, graph.edges[3]!] }).columns).toEqual(['above', 'this', 'attached'])
  // many are cut, and counted
  const many = Array.from({ length: 30 }, (_, i) => `c${i}`)
  const wide = draw({ digest: 'i', truncated: false, nodes: ['i', ...many].map((x) => node(x)), edges: many.map((to) => ({ from: 'i', to, kind: 'contains' as const })) })
  expect(wide.boxes.filter((b) => b.column === 1)).toHaveLength(10)
  expect(wide.boxes.at(-1)!.more).toBe(21)
})
