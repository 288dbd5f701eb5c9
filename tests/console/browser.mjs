// One page in chromium with what always holds: no CSP violation, no console error, no request to
// another origin; audit() adds axe in both themes.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

export const url = process.env.COVE_URL
export const host = url.replace('http://', '')
export const shots = process.env.SHOTS && fileURLToPath(new URL('../../build/shots/', import.meta.url))

// Times are judged with five times the budget, never below a quarter of a second, and more where this program
// gets only a part of a processor, so that a busy machine fails no story; what was seen is printed, and
// docs/console.md has the figures of a quiet one.
export function within(ms, budget, what) {
  const slower = share()
  console.log(`${what}: ${ms.toFixed(1)} ms of ${budget}${slower > 1.2 ? `, with 1/${slower.toFixed(1)} of a processor` : ''}`)
  check(ms <= Math.max(250, budget * 5) * slower, `${what}: ${ms} ms, the budget is ${budget}`)
}
// How much longer than its work a program takes here, now: 1 where nothing else runs.
function share() {
  const [began, used] = [performance.now(), process.cpuUsage()]
  for (let done = 0; done < 200; ) {
    const { user, system } = process.cpuUsage(used)
    done = (user + system) / 1000
  }
  return Math.max(1, (performance.now() - began) / 200)
}

export function check(ok, what) {
  if (!ok) throw new Error(what)
}

// `at`: the server under another name, with the switches in `args` that lead there.
export async function open({ width = 1280, height = 860, theme = 'light', zone, at = url, args = [] } = {}) {
  const shared = process.env.BROWSER && !args.length // the one that all stories of a module use: chromium.mjs
  const browser = shared ? await chromium.connect(process.env.BROWSER) : await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', ...args] })
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, timezoneId: zone, deviceScaleFactor: shots ? 1.5 : 1 })
  const page = await context.newPage()
  page.setDefaultTimeout(60000)
  const wrong = []
  let tolerated = [] // statuses and net:: errors that the story provokes: the browser logs each
  await page.addInitScript(() => {
    window.violations = []
    addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`))
  })
  page.on('console', (m) => {
    if (m.type() !== 'error' && m.type() !== 'warning') return
    if (!tolerated.some((t) => m.text().includes(t.startsWith('net::') ? t : `status of ${t}`))) wrong.push(m.text())
  })
  page.on('pageerror', (e) => wrong.push(String(e)))
  const under = new Set() // requests without an answer
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (r) => under.delete(r))
  page.on('request', (r) => {
    if (!r.isNavigationRequest()) under.add(r)
    if (!r.url().startsWith(at + '/') && !r.url().startsWith('blob:' + at) && r.url() !== 'about:blank') wrong.push('off-origin: ' + r.url())
  })

  // The second theme has the same page in other colours: only the rules about colours can say something new.
  const audit = async (what) => {
    for (const scheme of ['light', 'dark']) {
      await page.evaluate(async (t) => {
        document.documentElement.dataset.theme = t
        await new Promise(requestAnimationFrame)
        const moving = document.getAnimations().filter((a) => Number.isFinite(a.effect.getComputedTiming().endTime))
        for (const a of moving) a.finish()
      }, scheme)
      if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe + ';undefined')
      const found = await page.evaluate((colours) => window.axe.run(document, {
        runOnly: colours ? { type: 'rule', values: ['color-contrast', 'link-in-text-block'] } : { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] },
        resultTypes: ['violations'], preload: false,
      }).then((r) => r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + ' ' + (n.any[0]?.message ?? '')).slice(0, 3).join(' | ').slice(0, 500)}`)), scheme === 'dark')
      for (const v of found) wrong.push(`axe, ${what}, ${scheme}: ${v}`)
      if (shots) {
        mkdirSync(shots, { recursive: true })
        await page.screenshot({ path: `${shots}${what.replaceAll(' ', '-')}-${scheme}.png`, fullPage: !/^(dialog|long)/.test(what) })
      }
    }
    await page.evaluate((t) => (document.documentElement.dataset.theme = t), theme)
  }
  const close = async () => {
    wrong.push(...(await page.evaluate(() => window.violations ?? [])))
    await context.close()
    await browser.close()
    check(!wrong.length, wrong.join('\n'))
  }
  return { page, context, at, under, audit, close, tolerate: (...codes) => (tolerated = codes.map(String)) }
}

export async function signIn(b, name = 'admin', password = process.env.ADMIN_PASSWORD, path = '/') {
  b.tolerate(401)
  await b.page.goto((b.at ?? url) + path)
  await b.page.getByLabel('User name').fill(name)
  await b.page.getByLabel('Password').fill(password)
  await b.page.getByRole('button', { name: 'Sign in' }).click()
  await b.page.getByRole('navigation', { name: 'Main' }).or(b.page.getByRole('navigation', { name: 'Sections' })).first().waitFor()
  b.tolerate()
}

// A call of the server's API by an administrator, as a script would make it.
export async function admin(method, path, body) {
  const reply = await fetch(url + path, {
    method,
    headers: { Authorization: 'Basic ' + btoa('admin:' + process.env.ADMIN_PASSWORD), 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  check(reply.ok, `${method} ${path}: ${reply.status}`)
  return reply
}

// Every page of the console, on the stage's data.
export async function everyPage() {
  const newest = async (project, repository) =>
    (await (await admin('GET', `/api/v2.0/projects/${project}/repositories/${repository}/artifacts?sort=-push_time&with_tag=true`)).json()).find((a) => a.tags?.length).digest
  const found = await Promise.all([newest('team-07', 'web%252Fshop'), newest('team-07', 'multi'), newest('moving', 'library%252Ftool')])
  return {
    cache: '/',
    projects: '/projects',
    project: '/projects/team-07',
    proxy: '/projects/hub',
    repository: '/projects/team-07/repositories/web/shop',
    artifact: `/projects/team-07/repositories/web/shop/artifacts/${found[0]}`,
    index: `/projects/team-07/repositories/multi/artifacts/${found[1]}`,
    moved: `/projects/moving/repositories/library/tool/artifacts/${found[2]}`,
    upstreams: '/upstreams',
    connect: '/connect?project=hub',
    wizard: '/new',
    storage: '/storage',
    jobs: '/jobs',
    settings: '/settings',
    profile: '/profile',
  }
}

// The page has its heading, nothing is asked for and nothing is a skeleton any more.
export async function settled(b) {
  await b.page.getByRole('heading', { level: 1 }).first().waitFor()
  const until = Date.now() + 60000
  for (let still = 0; still < 3 && Date.now() < until; still = b.under.size ? 0 : still + 1)
    await b.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20))))
  await b.page.locator('main .wait').first().waitFor({ state: 'detached' })
}

export const heading = (b, name) => b.page.getByRole('heading', { level: 1, name, exact: true }).waitFor()

// Keys one right after the other: g and what comes after it belong together only for a moment.
export const chord = (b, ...keys) => Promise.all(keys.map((k) => b.page.keyboard.press(k)))

// What is said only for a moment is waited for from before the act that brings it.
export const says = (locator, act) => Promise.all([locator.waitFor(), act()])

// From the next page on nothing is done by the clock that is a second or more away: a page asks for what it
// shows at first, and never again by itself.
export const noPolls = (b) =>
  b.page.addInitScript(() => {
    for (const name of ['setTimeout', 'setInterval']) {
      const plain = window[name]
      window[name] = (f, ms = 0, ...more) => plain(f, ms < 1000 ? ms : 2 ** 31 - 1, ...more)
    }
  })

// A real client's pull: skopeo.
export async function pull(image) {
  const dir = mkdtempSync(join(tmpdir(), 'cove-pull-'))
  try {
    await promisify(execFile)('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${host}/${image}`, `dir:${dir}`])
  } finally {
    rmSync(dir, { recursive: true })
  }
}

// What a real client finds under a tag: skopeo.
export async function digestOf(image) {
  const { stdout } = await promisify(execFile)('skopeo', ['inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${host}/${image}`])
  return stdout.trim()
}
