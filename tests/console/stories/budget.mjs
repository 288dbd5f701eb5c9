// What the console may cost. Times are medians of five on a machine four times slower behind 9 Mbit/s
// and 60 ms, with nothing cached; sizes are what travels.
import { check, everyPage, heading, noPolls, settled, signIn, url, within } from '../browser.mjs'

const median = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)]
const kb = (n) => Math.round(n / 102.4) / 10

async function cold(b, path) {
  const page = await b.context.newPage()
  const cdp = await b.context.newCDPSession(page)
  await cdp.send('Network.enable')
  await cdp.send('Network.clearBrowserCache')
  await cdp.send('Network.setCacheDisabled', { cacheDisabled: true })
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 60, downloadThroughput: 9e6 / 8, uploadThroughput: 9e6 / 8 })
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 })
  await page.addInitScript(() => {
    window.shift = 0
    new PerformanceObserver((l) => l.getEntries().forEach((e) => { if (!e.hadRecentInput) window.shift += e.value })).observe({ type: 'layout-shift', buffered: true })
    const look = () => {
      if (document.querySelector('main a.main')) window.rows = performance.now()
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  })
  await page.goto(url + path)
  await page.waitForFunction(() => window.rows && performance.getEntriesByName('first-contentful-paint').length)
  await page.waitForLoadState('networkidle')
  const seen = await page.evaluate(() => ({
    fcp: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    rows: window.rows,
    shift: window.shift,
    files: performance.getEntriesByType('resource').map((e) => [new URL(e.name).pathname, e.encodedBodySize]),
  }))
  await page.close()
  return seen
}

export async function first_view(b) {
  await signIn(b)
  await heading(b, 'Cache')
  await b.page.goto('about:blank') // nothing else runs
  const runs = []
  for (let i = 0; i < 5; i++) runs.push(await cold(b, '/projects'))
  const size = (end) => runs[0].files.filter(([name]) => name.endsWith(end)).reduce((sum, [, n]) => sum + n, 0)
  const figures = { js: kb(size('.js')), css: kb(size('.css')), fonts: kb(size('.woff2')), fcp: Math.round(median(runs.map((r) => r.fcp))), rows: Math.round(median(runs.map((r) => r.rows))), shift: median(runs.map((r) => r.shift)) }
  console.log('first view', JSON.stringify(figures))
  check(figures.js <= 100, `JavaScript of the first view: ${figures.js} KB`)
  check(figures.css <= 20, `CSS: ${figures.css} KB`)
  check(figures.fonts <= 70, `fonts: ${figures.fonts} KB`)
  check(figures.shift <= 0.02, `the layout shifts by ${figures.shift}`)
  within(figures.fcp, 600, 'first paint')
  within(figures.rows, 900, 'first rows')
}

// A link of the page's own: the program stays.
const follow = (b, path) =>
  b.page.evaluate((p) => {
    const a = document.createElement('a')
    a.href = p
    document.body.append(a)
    a.click()
    a.remove()
  }, path)

export async function calls(b) {
  await noPolls(b)
  await signIn(b)
  await settled(b)
  let asked = []
  b.page.on('request', (r) => new URL(r.url()).pathname.match(/^\/(api|service|v2)\//) && asked.push(new URL(r.url()).pathname))
  for (const [name, path] of Object.entries(await everyPage())) {
    await follow(b, '/nothing')
    await heading(b, 'There is no such page')
    await settled(b)
    asked = []
    await follow(b, path)
    await b.page.getByRole('heading', { level: 1, name: 'There is no such page' }).waitFor({ state: 'detached' })
    await settled(b)
    console.log(name, asked.length)
    check(asked.length <= 3, `${name} asks ${asked.length} times: ${asked}`)
  }
}

// The heap after two hundred pages is the heap after forty.
export async function heap(b) {
  await signIn(b)
  await b.page.goto(url + '/projects')
  await b.page.locator('main a.main').first().waitFor()
  const cdp = await b.context.newCDPSession(b.page)
  const measure = async () => {
    await cdp.send('HeapProfiler.collectGarbage')
    await cdp.send('HeapProfiler.collectGarbage')
    const { metrics } = await cdp.send('Performance.getMetrics')
    return Object.fromEntries(metrics.map((m) => [m.name, m.value]))
  }
  await cdp.send('Performance.enable')
  const round = async () => {
    await b.page.getByRole('link', { name: 'team-07', exact: true }).click()
    await b.page.getByRole('link', { name: 'service-00' }).click()
    await heading(b, 'service-00')
    await b.page.locator('main a.main').first().click()
    await b.page.getByRole('heading', { level: 1, name: /^service-00:/ }).waitFor()
    await b.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Projects' }).click()
    await heading(b, 'Projects')
    await b.page.locator('main a.main').first().waitFor()
  }
  for (let i = 0; i < 10; i++) await round()
  const before = await measure()
  for (let i = 0; i < 50; i++) await round()
  const after = await measure()
  console.log('heap', kb(before.JSHeapUsedSize), 'KB, then', kb(after.JSHeapUsedSize), 'KB; nodes', before.Nodes, after.Nodes, 'listeners', before.JSEventListeners, after.JSEventListeners)
  check(after.JSHeapUsedSize < before.JSHeapUsedSize * 1.15 + 300_000, `the heap grew from ${kb(before.JSHeapUsedSize)} to ${kb(after.JSHeapUsedSize)} KB`)
  check(after.Nodes < before.Nodes * 1.2 + 200, `nodes: ${before.Nodes}, then ${after.Nodes}`)
  check(after.JSEventListeners < before.JSEventListeners * 1.2 + 50, `listeners: ${before.JSEventListeners}, then ${after.JSEventListeners}`)
}
