// Words live in src/lang: this finds literal text in a template, words without a key and keys without
// a use, and styles in markup, which the Content-Security-Policy forbids. `node lint.mjs`, also a part
// of the build.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'svelte/compiler'

const said = ['aria-label', 'aria-description', 'title', 'placeholder', 'alt', 'label', 'what', 'action']
const exempt = new Set(['kbd', 'code', 'pre', 'style', 'script']) // what people type or programs read
const sign = /^([\s·/]*Cove|[KMGT]B(\/s)?|ms|\S+\.\S+)$/ // the same in every language: the name, units, addresses
const letters = /\p{L}{2,}/u
let bad = 0

const complain = (file, source, at, why) => {
  bad++
  console.log(`${file}:${source.slice(0, at).split('\n').length}: ${why}`)
}

function* files(dir, end) {
  for (const e of readdirSync(dir, { withFileTypes: true })) {
    if (e.isDirectory()) yield* files(join(dir, e.name), end)
    else if (e.name.endsWith(end)) yield join(dir, e.name)
  }
}

// A sentence in an expression: letters with a space between, or a capital at the start. Arguments of
// t() are keys; comparisons compare with what the server says.
function expression(file, source, node) {
  if (!node || typeof node !== 'object') return
  if (Array.isArray(node)) return node.forEach((n) => expression(file, source, n))
  if (node.type === 'CallExpression' && node.callee.name === 't') return expression(file, source, node.arguments[1])
  if (node.type === 'BinaryExpression' && /[=!]==?/.test(node.operator)) return
  const text = node.type === 'Literal' && typeof node.value === 'string' ? node.value : node.type === 'TemplateElement' ? node.value.cooked : ''
  if (/\p{L}{2,} \p{L}|^\p{Lu}\p{Ll}+ ?$/u.test(text) && !/^M[\d. ]/.test(text)) complain(file, source, node.start, `literal text "${text}" in an expression`)
  for (const [k, v] of Object.entries(node)) if (k !== 'loc' && k !== 'start' && v && typeof v === 'object') expression(file, source, v)
}

function walk(file, source, node, inside) {
  if (!node || typeof node !== 'object') return
  if (Array.isArray(node)) return node.forEach((n) => walk(file, source, n, inside))
  switch (node.type) {
    case 'Text':
      if (!inside && letters.test(node.data) && !sign.test(node.data.trim())) complain(file, source, node.start, `literal text "${node.data.trim().slice(0, 50)}"`)
      return
    case 'Attribute': {
      if (node.name === 'style') complain(file, source, node.start, 'style="": the policy forbids it, use style:property')
      const parts = node.value === true ? [] : Array.isArray(node.value) ? node.value : [node.value]
      for (const part of parts) {
        if (part.type === 'ExpressionTag') { if (!node.name.startsWith('on')) attribute(file, source, node, part.expression) }
        else if (said.includes(node.name) && letters.test(part.data) && !sign.test(part.data)) complain(file, source, node.start, `literal text in ${node.name}="${part.data}"`)
      }
      return
    }
    case 'StyleDirective': // units, not words
      return
    case 'ExpressionTag':
      if (!inside) expression(file, source, node.expression)
      return
    case 'RegularElement': case 'Component': case 'TitleElement': case 'SvelteHead': {
      walk(file, source, node.attributes, '')
      walk(file, source, node.fragment, exempt.has(node.name) ? node.name : inside)
      return
    }
  }
  for (const [k, v] of Object.entries(node)) if (!['expression', 'test', 'context', 'key', 'loc', 'css', 'instance', 'module'].includes(k) && v && typeof v === 'object') walk(file, source, v, inside)
}
const attribute = (file, source, node, e) => { if (said.includes(node.name)) expression(file, source, e) }

const keys = new Map()
for (const file of files('src/lang/en', '.json')) {
  const area = file.split('/').pop().replace('.json', '')
  for (const [k, message] of Object.entries(JSON.parse(readFileSync(file, 'utf8')))) {
    keys.set(`${area}.${k}`, file)
    if (typeof message === 'object' && !message.other) complain(file, '', 0, `${k} has no "other"`)
  }
}
const used = new Set()
const stems = []
for (const file of [...files('src', '.svelte'), ...files('src', '.ts')]) {
  const source = readFileSync(file, 'utf8')
  if (file.endsWith('.svelte')) walk(file, source, parse(source, { modern: true, filename: file }).fragment, '')
  for (const m of source.matchAll(/['"`]([a-z]+\.[a-z0-9_]+)['"`]/g)) if (keys.has(m[1])) used.add(m[1])
  for (const m of source.matchAll(/`([a-z]+\.[a-z0-9_]*)\$\{/g)) stems.push(m[1])
  for (const m of source.matchAll(/\bt\(\s*'([^']+)'/g)) if (!keys.has(m[1])) complain(file, source, m.index, `no words for ${m[1]} in src/lang/en`)
  for (const m of source.matchAll(/<Words k="([^"]+)"/g)) if (!keys.has(m[1])) complain(file, source, m.index, `no words for ${m[1]} in src/lang/en`)
}
for (const [k, file] of keys) if (!used.has(k) && !stems.some((s) => k.startsWith(s))) complain(file, '', 0, `${k} is not used`)
console.log(bad ? `lint: ${bad} found` : `lint: ok, ${keys.size} texts`)
process.exit(bad ? 1 : 0)
