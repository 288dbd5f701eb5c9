// Lists: what stands in the URL comes back, and so do the place and what was chosen.
import { check, heading, signIn, url } from '../browser.mjs'

const rows = (b, n) => b.page.locator(`[role=table][aria-rowcount="${n + 1}"]`).waitFor()
const row = (b, name) => b.page.getByRole('row').filter({ has: b.page.getByRole('link', { name, exact: true }) })
const chosen = (b) => b.page.locator('[role=row][aria-selected=true]').count()
const scrolled = (b, y) => b.page.waitForFunction((y) => Math.abs(window.scrollY - y) < 5, y)

export async function filter_back(b) {
  await signIn(b)
  await b.page.goto(url + '/projects')
  await row(b, 'team-00').waitFor()
  await b.page.keyboard.press('/')
  await b.page.keyboard.type('team-0')
  await rows(b, 10)
  check(b.page.url().endsWith('filter=team-0'), 'the filter is in the URL')
  await row(b, 'team-03').getByRole('checkbox').check()
  await row(b, 'team-05').getByRole('checkbox').check()
  await b.page.getByRole('region', { name: '2 selected' }).waitFor()
  await b.audit('projects selected')
  await b.page.getByRole('link', { name: 'team-07' }).click()
  await heading(b, 'team-07')
  await b.page.getByRole('link', { name: 'service-00' }).waitFor()
  await b.audit('project repositories')
  await b.page.evaluate(() => window.scrollTo(0, 400))
  await b.page.getByRole('link', { name: 'service-15' }).click()
  await heading(b, 'service-15')
  await b.page.goBack()
  await heading(b, 'team-07')
  await scrolled(b, 400)
  await b.page.reload()
  await heading(b, 'team-07')
  await scrolled(b, 400)
  await b.page.goBack()
  await rows(b, 10)
  check((await b.page.locator('[data-filter]').inputValue()) === 'team-0', 'Back restores the filter')
  check((await chosen(b)) === 2, 'Back restores what was chosen')
  await b.page.reload()
  await rows(b, 10)
  check((await chosen(b)) === 2, 'a reload restores it too')
  await b.page.keyboard.press('Escape')
  check((await chosen(b)) === 0, 'Esc clears it')
  await b.page.locator('[data-filter]').fill('nothing-of-that-name')
  await b.page.getByText('No project matches').waitFor()
  await b.audit('projects no match')
  await b.page.getByRole('link', { name: 'Clear the filter' }).click()
  const [tab] = await Promise.all([b.context.waitForEvent('page'), b.page.getByRole('link', { name: 'team-10' }).click({ button: 'middle' })])
  await tab.waitForURL('**/projects/team-10')
}

export async function by_keyboard(b) {
  await signIn(b)
  await b.page.goto(url + '/projects?filter=team-0')
  await row(b, 'team-00').waitFor()
  const press = async (key, name) => {
    await b.page.keyboard.press(key)
    await b.page.waitForFunction((name) => document.activeElement.textContent === name, name)
  }
  for (const [key, name] of [['j', 'team-00'], ['j', 'team-01'], ['x', 'team-01'], ['j', 'team-02'], ['x', 'team-02'], ['k', 'team-01']]) await press(key, name)
  await b.page.getByRole('region', { name: '2 selected' }).waitFor()
  check((await chosen(b)) === 2, 'x chooses')
  await press('End', 'team-09')
  await press('Home', 'team-00')
  await b.page.keyboard.press('Escape')
  await press('j', 'team-01')
  await b.page.keyboard.press('Enter')
  await heading(b, 'team-01')
}

export async function project_parts(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/hub')
  await b.page.getByRole('link', { name: 'library/alpine' }).waitFor()
  await b.page.getByRole('navigation', { name: 'Parts of hub' }).getByRole('link', { name: 'Activity' }).click()
  await b.page.getByRole('link', { name: 'library/alpine:3.20' }).waitFor()
  await b.page.getByText('appeared').first().waitFor()
  await b.audit('project activity')
  await b.page.getByRole('navigation', { name: 'Parts of hub' }).getByRole('link', { name: 'Settings' }).click()
  await b.page.getByLabel('Freshness').fill('60')
  await b.page.keyboard.press('Tab')
  await b.page.getByText('Saved.').waitFor()
  await b.page.getByText('tags checked at most every').waitFor()
  b.tolerate(400, 412)
  await b.page.getByLabel('Hold new digests back').fill('soon')
  await b.page.keyboard.press('Tab')
  await b.page.getByRole('alert').filter({ hasText: 'proxy_hold_hours' }).waitFor()
  b.tolerate()
  await b.audit('project settings')
  await b.page.getByLabel('Freshness').fill('')
  await b.page.keyboard.press('Tab')
  await b.page.getByText('Saved.').first().waitFor()
}

export async function phone(b) {
  await signIn(b)
  for (const path of ['/projects', '/projects/team-07', '/projects/hub?tab=settings', '/projects/hub?tab=activity']) {
    await b.page.goto(url + path)
    await b.page.locator('[role=row] a.main, .items .item, td a.main').first().waitFor()
    const over = await b.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    check(over <= 0, `${path} is ${over} px too wide`)
    await b.audit('phone' + path.replaceAll('/', ' ').replace('?tab=', ' '))
  }
}
phone.view = { width: 390, height: 844 }
