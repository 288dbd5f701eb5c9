import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { build, defineConfig } from 'vite'

// src/start.ts runs before the rest, so it is a classic script of its own; it knows the files of each page
// that index.html does not name.
const start = () => ({
  name: 'start',
  apply: 'build',
  async writeBundle({ dir }, bundle) {
    const page = readFileSync(`${dir}/index.html`, 'utf8')
    const needs = (name, seen = new Set()) => {
      if (seen.has(name) || page.includes(`"/${name}"`)) return seen
      seen.add(name)
      for (const more of bundle[name].imports) needs(more, seen)
      return seen
    }
    const files = {}
    for (const chunk of Object.values(bundle)) {
      const at = /\/pages\/(\w+)\.svelte$/.exec(chunk.facadeModuleId ?? '')
      if (at && chunk.isDynamicEntry) files[at[1]] = [...needs(chunk.fileName)].map((f) => '/' + f)
    }
    const made = await build({
      configFile: false,
      logLevel: 'warn',
      publicDir: false,
      define: { FILES: JSON.stringify(files) },
      build: { write: false, target: 'es2022', modulePreload: false, rolldownOptions: { input: 'src/start.ts', output: { format: 'iife' } } },
    })
    const { code } = made.output[0]
    const name = `assets/start-${createHash('sha256').update(code).digest('hex').slice(0, 8)}.js`
    writeFileSync(`${dir}/${name}`, code)
    writeFileSync(`${dir}/index.html`, page.replace('<link rel="preload"', `<script src="/${name}"></script>\n    $&`))
  },
})

// Nothing inline and nothing from elsewhere: the server's Content-Security-Policy allows neither. Few
// files: what pages share is one, and so is the style, because each file costs a round trip.
export default defineConfig({
  plugins: [svelte(), start()],
  build: {
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    target: 'es2022',
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'shared', test: /[\\/]src[\\/]|svelte/, minShareCount: 3 },
            { name: 'shared', test: /[\\/]src[\\/]/, minShareCount: 2, maxModuleSize: 3000 },
          ],
        },
      },
    },
  },
})
