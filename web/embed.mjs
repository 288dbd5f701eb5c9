// embed.mjs DIST OUT: every file of DIST as gzip (fonts as they are), an assembler file that includes
// them, and one table for C: X(path, type, etag, immutable, gzip, symbol).
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { extname, join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'

const [dist, out] = process.argv.slice(2)
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}
const limit = 700 * 1024

function* files(dir) {
  for (const name of readdirSync(dir).sort()) {
    const path = join(dir, name)
    if (statSync(path).isDirectory()) yield* files(path)
    else yield path
  }
}

const rows = []
let assembler = '/* Written by web/embed.mjs. */\n\t.section .rodata\n'
let total = 0
mkdirSync(join(out, 'gz'), { recursive: true })
for (const path of files(dist)) {
  const type = types[extname(path)]
  if (!type) throw new Error(`${path}: no content type is known`)
  const name = '/' + relative(dist, path).replaceAll('\\', '/')
  const plain = readFileSync(path)
  const gzip = extname(path) !== '.woff2'
  const bytes = gzip ? gzipSync(plain, { level: 9 }) : plain
  const etag = createHash('sha256').update(plain).digest('hex').slice(0, 20)
  const symbol = `console_asset_${rows.length}`
  const file = join(out, 'gz', String(rows.length))
  writeFileSync(file, bytes)
  total += bytes.length
  assembler += `\t.global ${symbol}, ${symbol}_end\n${symbol}:\n\t.incbin "${file}"\n${symbol}_end:\n`
  const immutable = /^\/assets\/.*-[\w-]{8}\.\w+$/.test(name)
  rows.push(`    X("${name}", "${type}", "${etag}", ${immutable}, ${gzip}, ${symbol})`)
}
if (total > limit) throw new Error(`the console is ${total} bytes, over its budget of ${limit}`)
assembler += '\t.section .note.GNU-stack,"",%progbits\n'
writeFileSync(join(out, 'console_assets.S'), assembler)
writeFileSync(join(out, 'console_assets.h'),
  '/* Written by web/embed.mjs. */\n#define CONSOLE_ASSETS(X) \\\n' + rows.join(' \\\n') + '\n')
console.log(`console: ${rows.length} files, ${total} bytes`)
