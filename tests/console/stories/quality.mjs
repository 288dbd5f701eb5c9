// What holds on every page: keyboard, phone, both themes, few calls.
import { check, heading, signIn, url } from '../browser.mjs'

export async function keyboard(b) {
  await signIn(b)
  await heading(b, 'Cache')
  await b.page.keyboard.press('?')
  await b.page.getByRole('heading', { name: 'Keyboard' }).waitFor()
  await b.audit('dialog keys')
  await b.page.keyboard.press('Escape')
  await b.page.keyboard.press('g')
  await b.page.keyboard.press('p')
  await heading(b, 'Projects')
  await b.page.locator('[role=row] a.main').first().waitFor()
  await b.page.keyboard.press('j')
  await b.page.keyboard.press('j')
  await b.page.keyboard.press('k')
  await b.page.keyboard.press('Enter')
  await b.page.waitForURL(/\/projects\/\w+/)
  await b.page.keyboard.press('Control+k')
  await b.page.keyboard.type('shop')
  await b.page.getByRole('option', { name: /team-07\/web\/shop/ }).waitFor()
  await b.audit('dialog palette')
  await b.page.keyboard.press('ArrowDown')
  await b.page.keyboard.press('Enter')
  await heading(b, 'web/shop')
  await b.page.goto(url + '/projects')
  await heading(b, 'Projects')
  await b.page.keyboard.press('Tab')
  check((await b.page.evaluate(() => document.activeElement.textContent)) === 'Skip to the content', 'the first Tab skips')
  await b.page.keyboard.press('Enter')
  check((await b.page.evaluate(() => document.activeElement.id)) === 'main', 'focus is in the content')
}

export async function phone(b) {
  await signIn(b)
  const digest = await b.page.evaluate(async () => (await (await fetch('/api/v2.0/projects/team-07/repositories/web%252Fshop/artifacts')).json())[0].digest)
  for (const path of ['/', '/projects', '/projects/team-07', '/projects/team-07/repositories/web/shop', `/projects/team-07/repositories/web/shop/artifacts/${digest}`, '/upstreams', '/connect', '/new']) {
    await b.page.goto(url + path)
    await b.page.getByRole('heading', { level: 1 }).waitFor()
    await b.page.waitForLoadState('networkidle')
    const wide = await b.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    check(wide <= 0, `${path} is ${wide} px too wide`)
    await b.audit('phone ' + (path.split('/').slice(1, 2)[0] || 'cache') + path.split('/').length)
  }
  await b.page.getByRole('button', { name: 'More' }).click()
  await b.audit('dialog phone menu')
}

export async function pages(b) {
  await signIn(b)
  const metrics = Object.fromEntries((await (await fetch(url + '/metrics')).text()).split('\n').filter((l) => /^cove_\w+ /.test(l)).map((l) => l.split(' ')))
  await b.page.getByText('How pulls were answered').click()
  const row = async (name) => (await b.page.getByRole('row', { name: new RegExp('^' + name) }).getByRole('cell').last().textContent()).replace(',', '')
  check((await row('Fetched from the upstream')) === metrics.cove_proxy_misses_total, 'misses as /metrics says')
  check((await row('From the cache, nothing asked')) === metrics.cove_proxy_hits_total, 'hits as /metrics says')
  for (const [path, name] of [['/', 'cache'], ['/projects', 'projects'], ['/projects/team-07', 'project'], ['/projects/hub', 'project proxy'], ['/projects/team-01', 'project empty'], ['/connect', 'connect'], ['/connect?project=hub&client=podman', 'connect podman'], ['/nothing', 'lost']]) {
    await b.page.goto(url + path)
    await b.page.getByRole('heading', { level: 1 }).waitFor()
    await b.page.waitForLoadState('networkidle')
    await b.audit(name)
  }
  const requests = []
  b.page.on('request', (r) => r.url().includes('/api/') && requests.push(r.url()))
  await b.page.getByRole('link', { name: 'Projects', exact: true }).first().click()
  await b.page.locator('[role=row] a.main').first().waitFor()
  check(requests.length <= 3, 'at most three calls for a page: ' + requests)
}

phone.view = { width: 390, height: 844 }
