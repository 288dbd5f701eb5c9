// Pictures of the pages, both themes, on a desktop and on a phone, and what a screen reader is told of the
// main ones, beside those in ../pictures. What may differ from run to run is made still: the clock, the
// server's name, moments and measured times in its replies. RENEW=1 writes them anew.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { crc32, deflateSync, inflateSync } from 'node:zlib'
import { check, everyPage, open, settled, signIn, url } from '../browser.mjs'

const kept = fileURLToPath(new URL('../pictures/', import.meta.url))
const seen = fileURLToPath(new URL('../../../build/pictures/', import.meta.url))
const renew = Boolean(process.env.RENEW)
const NOW = Date.parse('2026-03-02T09:30:00Z')
const ALLOWED = 0.001 // of a picture's points
const PAGES = ['cache', 'projects', 'project', 'proxy', 'repository', 'artifact', 'upstreams', 'connect', 'wizard', 'storage', 'jobs', 'settings']
const TREES = ['cache', 'project', 'artifact', 'wizard']
const host = 'cove.test'
const where = {
  at: `http://${host}`,
  zone: 'UTC',
  args: [
    `--host-resolver-rules=MAP ${host}:80 ${url.replace('http://', '')}`, `--unsafely-treat-insecure-origin-as-secure=http://${host}`,
    '--font-render-hinting=none', '--disable-lcd-text', '--force-color-profile=srgb',
  ],
}

// In the page, before its own program: what its calls bring, made still. The n-th of a list is n steps back;
// a measured number is always the same.
function stillness(now) {
  const iso = (ms) => new Date(ms).toISOString().replace('.000', '')
  const moment = /^20\d\d-\d\d-\d\dT[\d:.]+Z$/
  const measured = /_(us|ms)$|^(answer|latency|took|elapsed|free|available)/
  const disk = { disk_free: 64e9, disk_total: 270e9 }
  const still = (v, key = '', n = 1) => {
    if (Array.isArray(v)) return v.map((x, i) => still(x, key, key === 'series' ? v.length - i : i + 1))
    if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, still(x, k, n)]))
    if (typeof v === 'string') return moment.test(v) ? iso(now - n * 7 * 60_000) : v.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:5000').replaceAll(/\/tmp\/[\w.-]+/g, '/var/lib/cove')
    return typeof v === 'number' && v > 0 && measured.test(key) ? 3100 : (disk[key] ?? v)
  }
  const plain = window.fetch
  window.fetch = async (...what) => {
    const reply = await plain(...what)
    if (!reply.headers.get('content-type')?.includes('json')) return reply
    const { status, statusText, headers } = reply
    return new Response(JSON.stringify(still(await reply.json())), { status, statusText, headers })
  }
}

async function prepare(b) {
  await b.page.clock.setFixedTime(NOW)
  await b.page.emulateMedia({ reducedMotion: 'reduce' })
  await b.page.addInitScript(stillness, NOW)
}

// The same picture in fewer bytes: the browser packs it for speed.
function packed(png) {
  const chunks = [], data = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const chunk = png.subarray(at, at + 12 + png.readUInt32BE(at))
    if (chunk.toString('latin1', 4, 8) === 'IDAT') data.push(chunk.subarray(8, -4))
    else chunks.push(chunk)
  }
  const body = Buffer.concat([Buffer.from('IDAT'), deflateSync(inflateSync(Buffer.concat(data)), { level: 9, memLevel: 9 })])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(body.length - 4)
  sum.writeUInt32BE(crc32(body))
  chunks.splice(-1, 0, Buffer.concat([length, body, sum]))
  return Buffer.concat([png.subarray(0, 8), ...chunks])
}

// How many points of two pictures differ by more than the eye sees; 1: not of one size.
const compare = (page, a, b) =>
  page.evaluate(async (both) => {
    const [x, y] = await Promise.all(both.map(async (data) => {
      const image = new Image()
      image.src = 'data:image/png;base64,' + data
      await image.decode()
      const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d')
      canvas.drawImage(image, 0, 0)
      return canvas.getImageData(0, 0, image.width, image.height)
    }))
    if (x.width !== y.width || x.height !== y.height) return 1
    let differ = 0
    for (let i = 0; i < x.data.length; i += 4)
      if (Math.abs(x.data[i] - y.data[i]) + Math.abs(x.data[i + 1] - y.data[i + 1]) + Math.abs(x.data[i + 2] - y.data[i + 2]) > 24) differ++
    return differ / (x.width * x.height)
  }, [a, b].map((p) => p.toString('base64')))

export async function pictures(b) {
  const version = b.context.browser().version()
  const note = kept + 'chromium'
  mkdirSync(renew ? kept : seen, { recursive: true })
  if (renew) writeFileSync(note, version + '\n')
  if (!existsSync(note)) return console.log('not compared: no pictures are kept')
  const same = readFileSync(note, 'utf8').trim() === version
  if (!same) console.log(`not compared: the pictures are of chromium ${readFileSync(note, 'utf8').trim()}, here is ${version}`)
  await b.page.goto('about:blank')
  const wrong = []
  const paths = await everyPage()
  for (const [size, width, height] of [['desktop', 1280, 800], ['phone', 390, 800]]) {
    const c = await open({ width, height, ...where })
    await prepare(c)
    await signIn(c)
    for (const name of PAGES) {
      await c.page.goto(c.at + paths[name])
      await settled(c)
      await c.page.evaluate(() => document.fonts.ready)
      if (size === 'desktop' && TREES.includes(name)) {
        const tree = (await c.page.locator('body').ariaSnapshot()) + '\n'
        if (renew) writeFileSync(`${kept}${name}.tree`, tree)
        else if (tree !== readFileSync(`${kept}${name}.tree`, 'utf8')) {
          writeFileSync(`${seen}${name}.tree`, tree)
          wrong.push(`${name}: what a screen reader is told is not as in pictures/${name}.tree: build/pictures/${name}.tree`)
        }
      }
      for (const theme of same ? ['light', 'dark'] : []) {
        await c.page.evaluate((t) => (document.documentElement.dataset.theme = t), theme)
        const file = `${name}-${size}-${theme}.png`
        const picture = await c.page.screenshot({ animations: 'disabled', caret: 'hide' })
        if (renew) writeFileSync(kept + file, packed(picture))
        else {
          const part = existsSync(kept + file) ? await compare(b.page, picture, readFileSync(kept + file)) : 1
          if (part > ALLOWED) {
            writeFileSync(seen + file, picture)
            wrong.push(`${file}: ${part === 1 ? 'another size, or not kept' : `${(100 * part).toFixed(2)} % differ`}: build/pictures/${file}`)
          }
        }
      }
    }
    await c.close()
  }
  check(!wrong.length, wrong.join('\n'))
  if (same) console.log(`${PAGES.length * 4} pictures as kept`)
}
