// 100,000 tags in one repository, 2,000 projects: a page is one request, scrolling stays smooth, End
// is as near as the start.
import { check, heading, signIn, url } from '../../browser.mjs'

const first = (b) => b.page.locator('[role=row] a.main').first().waitFor()
const lists = (b, what) => {
  const asked = []
  b.page.on('request', (r) => r.url().includes(what) && asked.push(r.url()))
  return asked
}
// Frames while the page is scrolled by the wheel: their lengths in ms.
const frames = (b, steps, delta) =>
  b.page.evaluate(async ([steps, delta]) => {
    const times = []
    let last = performance.now()
    for (let i = 0; i < steps; i++) {
      window.scrollBy(0, delta)
      await new Promise(requestAnimationFrame)
      const now = performance.now()
      times.push(now - last)
      last = now
    }
    return times.sort((a, b) => a - b)
  }, [steps, delta])

export async function projects(b) {
  await signIn(b)
  await b.page.goto(url + '/connect')
  await heading(b, 'Connect a client')
  const asked = lists(b, 'cove/v1/projects?')
  await b.page.keyboard.press('g')
  const began = Date.now()
  await b.page.keyboard.press('p')
  await b.page.locator('[role=row] a.main').first().waitFor()
  const took = Date.now() - began
  console.log(`2,000 projects: first rows after ${took} ms, ${asked.length} request`)
  check(took < 300, `first rows took ${took} ms`)
  check(asked.length === 1, `one request: ${asked}`)
  const times = await frames(b, 200, 300)
  const p95 = times[Math.floor(times.length * 0.95)]
  console.log(`scrolled 60,000 px: median frame ${times[100].toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, ${asked.length} requests`)
  check(p95 <= 20, `a frame in twenty takes ${p95} ms`)
  await b.page.keyboard.press('End')
  await b.page.waitForFunction(() => document.activeElement.textContent === 'team-2000')
  check((await b.page.locator('[role=row]').count()) < 80, 'only what is seen is in the page')
  await b.audit('long projects')
}
