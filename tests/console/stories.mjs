// node stories.mjs NAME: one story; exit status 0 when it holds.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { check, open, signIn, url } from './browser.mjs'

const run = promisify(execFile)
const host = url.replace('http://', '')
const guestPassword = process.env.USER_PASSWORD
const heading = (b, name) => b.page.getByRole('heading', { level: 1, name }).waitFor()

// A real client's pull: skopeo.
async function pull(image) {
  const dir = mkdtempSync(join(tmpdir(), 'cove-pull-'))
  try {
    await run('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${host}/${image}`, `dir:${dir}`])
  } finally {
    rmSync(dir, { recursive: true })
  }
}

const stories = {
  async sign_in(b) {
    b.tolerate(401)
    await b.page.goto(url + '/projects?filter=team-07')
    await b.audit('sign in')
    await b.page.getByLabel('User name').fill('admin')
    await b.page.getByLabel('Password').fill('wrong-Password-1')
    await b.page.getByRole('button', { name: 'Sign in' }).click()
    await b.page.getByRole('alert').getByText('The name or the password is wrong.').waitFor()
    await b.audit('sign in refused')
    await b.page.getByLabel('Password').fill(process.env.ADMIN_PASSWORD)
    await b.page.keyboard.press('Enter')
    await b.page.getByRole('link', { name: 'team-07' }).waitFor() // the page that was asked for
    await b.page.getByRole('button', { name: 'admin' }).click()
    await b.page.getByRole('button', { name: 'Dark', exact: true }).click()
    check((await b.page.evaluate(() => document.documentElement.dataset.theme)) === 'dark', 'dark was chosen')
    await b.audit('dialog account menu')
    await b.page.reload()
    await heading(b, 'Projects')
    check((await b.page.evaluate(() => document.documentElement.dataset.theme)) === 'dark', 'the choice is kept')
    check((await b.page.evaluate(() => JSON.stringify(localStorage))) === '{"theme":"dark"}', 'no secret is kept')
    await b.page.getByRole('button', { name: 'admin' }).click()
    await b.page.getByRole('button', { name: 'Sign out' }).click()
    await heading(b, 'Sign in')
  },

  async wizard(b) {
    await signIn(b)
    await b.page.goto(url + '/projects')
    await b.page.getByRole('link', { name: 'New proxy cache' }).click()
    await heading(b, 'New proxy cache')
    await b.page.getByRole('region', { name: 'Configuration for containerd' }).getByText('hosts.toml').waitFor()
    await b.audit('wizard upstream')
    await b.page.getByText('Any registry').click()
    await b.page.getByRole('textbox', { name: 'Address' }).fill('http://127.0.0.1:1')
    await b.page.getByLabel('Project name').fill('fresh')
    b.tolerate(400, 412, 500, 502, 504, 503)
    await b.page.getByRole('button', { name: 'Check the connection' }).click()
    await b.page.getByText('did not pass').waitFor()
    await b.audit('wizard check failed')
    b.tolerate()
    await b.page.getByRole('textbox', { name: 'Address' }).fill(process.env.UPSTREAM)
    await b.page.getByRole('button', { name: 'Check the connection' }).click()
    await b.page.getByText(/^Reached/).waitFor()
    await b.audit('wizard check passed')
    await b.page.getByRole('button', { name: 'Continue to freshness' }).click()
    await b.audit('wizard freshness')
    await b.page.getByRole('button', { name: 'Continue to limits' }).click()
    await b.audit('wizard limits')
    await b.page.getByRole('button', { name: 'Continue to access' }).click()
    await b.page.getByText('Everybody', { exact: true }).click()
    await b.page.getByLabel('Stands for the names').fill('registry.example.org')
    await b.audit('wizard access')
    await b.page.getByRole('button', { name: 'Create', exact: true }).click()
    await b.page.getByText('Waiting for the first pull').waitFor()
    await b.audit('wizard connect')
    await pull('fresh/library/alpine:3.20')
    const began = Date.now()
    await b.page.getByText('First pull seen:').waitFor({ timeout: 4000 })
    check(Date.now() - began < 2000, `the pull was seen after ${Date.now() - began} ms`)
    await b.page.getByRole('link', { name: 'library/alpine' }).click()
    await b.page.getByText('3.20').waitFor()
  },

  async filter_back(b) {
    await signIn(b)
    await b.page.goto(url + '/projects')
    await b.page.getByText(/^1–50 of 6\d$/).waitFor()
    await b.page.keyboard.press('/')
    await b.page.keyboard.type('team-0')
    await b.page.getByText('1–10 of 10').waitFor()
    check(b.page.url().endsWith('filter=team-0'), 'the filter is in the URL')
    await b.page.getByRole('link', { name: 'team-07' }).click()
    await heading(b, 'team-07')
    await b.page.getByRole('link', { name: 'service-00' }).waitFor()
    await b.page.evaluate(() => window.scrollTo(0, 400))
    await b.page.getByRole('link', { name: 'service-21' }).click()
    await heading(b, 'service-21')
    await b.page.goBack()
    await heading(b, 'team-07')
    await b.page.waitForFunction(() => Math.abs(window.scrollY - 400) < 5)
    await b.page.goBack()
    await b.page.getByText('1–10 of 10').waitFor()
    check((await b.page.getByLabel('Filter projects by name').inputValue()) === 'team-0', 'Back restores the filter')
    await b.page.reload()
    await b.page.getByText('1–10 of 10').waitFor()
    await b.page.getByLabel('Filter projects by name').fill('nothing-of-that-name')
    await b.page.getByText('No project matches').waitFor()
    await b.audit('projects no match')
    await b.page.getByRole('link', { name: 'Clear the filter' }).click()
    await b.page.getByRole('link', { name: 'Next' }).click()
    await b.page.getByText(/^51–6\d of 6\d$/).waitFor()
    const [tab] = await Promise.all([b.context.waitForEvent('page'), b.page.getByRole('link', { name: 'team-55' }).click({ button: 'middle' })])
    await tab.waitForURL('**/projects/team-55')
  },

  async artifact(b) {
    await signIn(b)
    await b.page.goto(url + '/projects/team-07/repositories/web/shop')
    await b.page.getByText('1.27.3').waitFor()
    await b.audit('repository')
    await b.page.locator('td a.main').click()
    await heading(b, 'shop:1.27.3')
    await b.page.getByText(`docker pull ${host}/team-07/web/shop:1.27.3`).waitFor()
    await b.page.getByRole('button', { name: 'podman' }).click()
    await b.page.getByRole('button', { name: 'digest', exact: true }).click()
    await b.page.getByText(/podman pull .*web\/shop@sha256:/).waitFor()
    await b.audit('artifact')
    for (const [name, text] of [['Attached', 'Nothing attached'], ['Moves', 'What happened'], ['Manifest', 'schemaVersion']]) {
      await b.page.getByRole('link', { name }).click()
      await b.page.getByText(text).first().waitFor()
      await b.audit(`artifact ${name.toLowerCase()}`)
    }
    await b.page.getByRole('link', { name: 'Tags' }).click()
    await b.page.getByRole('button', { name: 'Remove the tag latest' }).click()
    await b.audit('dialog remove tag')
    await b.page.getByRole('button', { name: 'Remove the tag', exact: true }).click()
    await b.page.getByRole('dialog').waitFor({ state: 'detached' })
    await b.page.getByRole('button', { name: 'Remove the tag latest' }).waitFor({ state: 'detached' })
    await b.page.getByRole('button', { name: 'Tag', exact: true }).click()
    await b.page.getByLabel('Tag', { exact: true }).fill('stable')
    await b.page.getByRole('button', { name: 'Add the tag' }).click()
    await b.page.getByRole('button', { name: 'Remove the tag stable' }).waitFor()
    await b.page.goto(url + '/projects/team-07/repositories/service-29')
    await b.page.locator('td a.main').click()
    await b.page.getByRole('button', { name: 'Delete' }).click()
    await b.page.getByText('Tags that go').waitFor()
    await b.audit('dialog delete artifact')
    await b.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await b.page.getByText('Nothing in it').or(b.page.getByText('There is no such thing')).first().waitFor()
  },

  async guest(b) {
    await signIn(b, 'guest', guestPassword)
    await heading(b, 'Cache')
    await b.audit('cache as a guest')
    check((await b.page.getByRole('link', { name: 'Upstreams' }).count()) === 0, 'no dead entry in the menu')
    await b.page.goto(url + '/projects/team-07')
    await b.page.getByRole('link', { name: 'service-00' }).waitFor()
    check((await b.page.getByRole('button', { name: 'Delete the project' }).count()) === 0, 'no delete for a guest')
    b.tolerate(403)
    await b.page.goto(url + '/projects/secret')
    await b.page.getByText('You may not see this project').waitFor()
    await b.page.getByText(/^request /).waitFor()
    await b.audit('forbidden project')
    await b.page.goto(url + '/projects/secret/repositories/app')
    await b.page.getByText('You may not see this repository').waitFor()
    await b.page.goto(url + '/upstreams')
    await b.page.getByText('You may not see the upstreams').waitFor()
    await b.page.goto(url + '/new')
    await b.page.getByText('Only system administrators may create a proxy cache.').waitFor()
    await b.audit('forbidden wizard')
  },

  async upstream_down(b) {
    await signIn(b)
    await b.page.goto(url + '/upstreams')
    await b.page.getByRole('button', { name: 'Test up', exact: true }).click()
    await b.page.getByText(/^answered in/).waitFor()
    await b.audit('upstreams')
    await b.page.route('**/registries/ping', (r) => r.fulfill({ status: 400, headers: { 'X-Request-Id': '7c1f-e09a' }, json: { errors: [{ code: 'BAD_REQUEST', message: 'the registry answered 401: token expired' }] } }))
    b.tolerate(400)
    await b.page.getByRole('button', { name: 'Test up', exact: true }).click()
    await b.page.getByText('token expired').waitFor()
    await b.page.getByRole('button', { name: 'Account of up', exact: true }).click()
    await b.audit('dialog account')
    await b.page.keyboard.press('Escape')
    await b.page.getByRole('button', { name: 'Delete up', exact: true }).click()
    b.tolerate(400, 409, 412)
    await b.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await b.page.getByRole('alert').waitFor() // in use by hub: refused in words
    await b.audit('dialog delete refused')
    await b.page.keyboard.press('Escape')
    await b.page.route('**/api/v2.0/projects?*', (r) => r.fulfill({ status: 500, headers: { 'X-Request-Id': '7c1f-e09a' }, json: { errors: [{ code: 'INTERNAL', message: 'internal server error' }] } }))
    b.tolerate(500)
    await b.page.getByRole('link', { name: 'Projects', exact: true }).first().click()
    await b.page.getByText('request 7c1f-e09a').waitFor()
    await b.audit('projects error')
    await b.page.unroute('**/api/v2.0/projects?*')
    await b.page.getByRole('button', { name: 'Try again' }).click()
    await b.page.getByText(/^1–50 of/).waitFor()
  },

  async expired(b) {
    await signIn(b)
    await b.page.goto(url + '/new')
    await b.page.getByLabel('Project name').fill('half-written')
    await b.context.clearCookies()
    b.tolerate(401)
    await b.page.getByRole('button', { name: 'Check the connection' }).click()
    await b.page.getByText('Your session has ended').waitFor()
    await b.audit('dialog expired')
    await b.page.getByRole('dialog').getByLabel('Password').fill(process.env.ADMIN_PASSWORD)
    await b.page.keyboard.press('Enter')
    await b.page.getByRole('dialog').waitFor({ state: 'detached' })
    check((await b.page.getByLabel('Project name').inputValue()) === 'half-written', 'nothing is lost')
  },

  async keyboard(b) {
    await signIn(b)
    await heading(b, 'Cache')
    await b.page.keyboard.press('?')
    await b.page.getByRole('heading', { name: 'Keyboard' }).waitFor()
    await b.audit('dialog keys')
    await b.page.keyboard.press('Escape')
    await b.page.keyboard.press('g')
    await b.page.keyboard.press('p')
    await heading(b, 'Projects')
    await b.page.getByText(/^1–50 of/).waitFor()
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
  },

  async phone(b) {
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
  },

  async pages(b) {
    await signIn(b)
    const metrics = Object.fromEntries((await (await fetch(url + '/metrics')).text()).split('\n').filter((l) => /^cove_\w+ /.test(l)).map((l) => l.split(' ')))
    await b.page.getByText('How requests were answered').waitFor()
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
    await b.page.getByText(/^1–50 of/).waitFor()
    check(requests.length <= 3, 'at most three calls for a page: ' + requests)
  },
}

const name = process.argv[2]
const b = await open(name === 'phone' ? { width: 390, height: 844 } : {})
try {
  await stories[name](b)
  await b.close()
} catch (e) {
  console.error(String(e.stack ?? e))
  console.error(await b.page.locator('body').innerText().then((t) => t.slice(0, 1500), () => ''))
  process.exit(1)
}
