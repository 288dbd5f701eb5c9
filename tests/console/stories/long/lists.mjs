// 100,000 tags and 100,000 artifacts in one repository, 2,000 projects: a page is one request, scrolling stays smooth, End
// is as near as the start.
import { check, chord, settled, signIn, url, within } from '../../browser.mjs'

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

// A frame in twenty at most takes over 20 ms: the best of three.
async function smooth(b, delta) {
  const runs = []
  for (let i = 0; i < 3; i++) runs.push(await frames(b, 120, i % 2 ? -delta : delta))
  const [half, p95] = [60, 114].map((n) => Math.min(...runs.map((r) => r[n])))
  console.log(`scrolled by ${delta} px a frame: median ${half.toFixed(1)} ms`)
  within(p95, 20, 'one frame in twenty')
}

// From the last key to the first row, with nothing kept: the best of three.
async function best(b, from, go) {
  const times = []
  for (let i = 0; i < 3; i++) {
    await b.page.goto(url + from)
    await b.page.getByRole('heading', { level: 1 }).waitFor()
    const began = Date.now()
    await go()
    await first(b)
    times.push(Date.now() - began)
  }
  return Math.min(...times)
}

export async function projects(b) {
  await signIn(b)
  const asked = lists(b, 'cove/v1/projects?')
  const took = await best(b, '/connect', () => chord(b, 'g', 'p'))
  check(asked.length === 3, `one request each time: ${asked}`)
  within(took, 300, 'first rows of 2,000 projects')
  await smooth(b, 300)
  console.log(`${asked.length} requests for 60,000 px`)
  await b.page.keyboard.press('End')
  await b.page.waitForFunction(() => document.activeElement.textContent === 'team-59')
  check((await b.page.locator('[role=row]').count()) < 80, 'only what is seen is in the page')
  await b.audit('long projects')
}

export async function tags(b) {
  await signIn(b)
  const asked = lists(b, '/repositories/many/tags?')
  await b.page.goto(url + '/projects/library')
  const times = []
  for (let i = 0; i < 3; i++) {
    await b.page.goto(url + '/projects/library/repositories/many')
    const tab = b.page.getByRole('navigation', { name: 'Parts of many' }).getByRole('link', { name: 'Tags' })
    await tab.waitFor()
    const began = Date.now()
    await tab.click()
    await b.page.getByRole('link', { name: 'tag-100000' }).waitFor()
    times.push(Date.now() - began)
  }
  check(asked.length === 3, `one request each time: ${asked}`)
  within(Math.min(...times), 300, 'first rows of 100,000 tags')
  check((await b.page.getByRole('table').getAttribute('aria-rowcount')) === '-1', 'the count stopped at its limit')
  await smooth(b, 300)
  await b.page.keyboard.press('Home')
  await settled(b)
  asked.length = 0
  const began = Date.now()
  await b.page.keyboard.press('End')
  await b.page.waitForFunction(() => document.activeElement.textContent.trim() === 'tag-000001')
  console.log(`the end by End: ${Date.now() - began} ms, ${asked.length} requests`)
  check(asked.some((u) => u.includes('sort=push_time')), 'the end is asked for backwards')
  check(asked.length <= 2, `a page for the end: ${asked}`)
  check((await b.page.locator('[role=row]').count()) < 80, 'only what is seen is in the page')
  await b.audit('long tags')
  await b.page.getByRole('columnheader', { name: 'Tag' }).getByRole('link').click()
  await b.page.getByRole('link', { name: 'first', exact: true }).waitFor()
  await b.page.keyboard.press('/')
  await b.page.keyboard.type('tag-05432')
  await b.page.locator('[role=table][aria-rowcount="11"]').waitFor()
}

// Artifacts with their tags, attachments and pulls: the same list, one request a page.
export async function artifacts(b) {
  await signIn(b)
  const asked = lists(b, '/repositories/images/artifacts?')
  await b.page.goto(url + '/projects/library')
  const times = []
  for (let i = 0; i < 3; i++) {
    await b.page.goto(url + '/projects/library?filter=images')
    const link = b.page.getByRole('link', { name: 'images', exact: true })
    await link.waitFor()
    const began = Date.now()
    await link.click()
    await b.page.getByText('v-100000').waitFor()
    times.push(Date.now() - began)
  }
  check(asked.length === 3, `one request each time: ${asked}`)
  within(Math.min(...times), 300, 'first rows of 100,000 artifacts')
  check((await b.page.getByRole('table').getAttribute('aria-rowcount')) === '-1', 'the count stopped at its limit')
  await smooth(b, 300)
  await b.page.keyboard.press('Home')
  await b.page.locator('[data-i="1"]').getByRole('checkbox').check()
  await settled(b)
  asked.length = 0
  const began = Date.now()
  await b.page.keyboard.press('End')
  await b.page.waitForFunction(() => document.activeElement.closest('[role=row]')?.textContent.includes('v-000001'))
  console.log(`the end by End: ${Date.now() - began} ms, ${asked.length} requests`)
  check(asked.some((u) => u.includes('sort=push_time')), 'the end is asked for backwards')
  check(asked.length <= 2, `a page for the end: ${asked}`)
  check((await b.page.locator('[role=row]').count()) < 80, 'only what is seen is in the page')
  await b.audit('long artifacts')
  // Back: the place and what was chosen
  const y = await b.page.evaluate(() => window.scrollY)
  await b.page.keyboard.press('Enter')
  await b.page.waitForURL('**/artifacts/sha256:**')
  await b.page.goBack()
  await b.page.waitForFunction((y) => Math.abs(window.scrollY - y) < 5, y)
  await b.page.getByText('v-000001').waitFor()
  await b.page.getByRole('region', { name: '1 selected' }).getByRole('button', { name: 'Select all 100,000+ matching' }).click()
  await b.page.getByRole('region', { name: '100,000 selected' }).waitFor()
  check((await b.page.locator('[role=row][aria-selected=true]').count()) > 15, 'all that is seen is selected, and nothing of it went while it was asked for again')
  await b.page.keyboard.press('Escape')
  await b.page.keyboard.press('/')
  await b.page.keyboard.type('v-05432')
  await b.page.locator('[role=table][aria-rowcount="11"]').waitFor()
}
