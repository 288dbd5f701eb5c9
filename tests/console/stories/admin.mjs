// What an administrator sees of the store, its jobs and its settings; and one's own profile.
import { check, heading, signIn, url } from '../browser.mjs'

const api = (b, method, path, body) =>
  b.page.evaluate(async ([method, path, body]) => {
    const first = await fetch('/api/version')
    const r = await fetch(path, { method, headers: { 'Content-Type': 'application/json', 'X-Harbor-CSRF-Token': first.headers.get('X-Harbor-CSRF-Token') }, body: body && JSON.stringify(body) })
    return { status: r.status, text: await r.text() }
  }, [method, path, body])

export async function storage(b) {
  await signIn(b)
  const gone = await api(b, 'DELETE', '/api/v2.0/projects/team-07/repositories/service-29')
  check(gone.status === 200, JSON.stringify(gone))
  await b.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Storage' }).click()
  await heading(b, 'Storage')
  await b.page.getByText('Just pushed: waits for its manifest').or(b.page.getByText('a push may be about to use it')).first().waitFor()
  await b.page.getByRole('link', { name: 'team-07' }).waitFor()
  await b.page.getByRole('button', { name: 'Dry run' }).click()
  await b.page.getByRole('region', { name: 'Last runs' }).getByText('would go').first().waitFor()
  await b.page.getByRole('button', { name: 'Collect garbage' }).click()
  await b.page.getByRole('region', { name: 'Last runs' }).getByText('freed').first().waitFor()
  await b.audit('storage')
  await b.page.getByRole('link', { name: 'All jobs' }).click()
  await heading(b, 'Jobs')
  await b.page.getByRole('row').filter({ hasText: 'Garbage collection, dry run' }).first().waitFor()
  await b.audit('jobs')
}

// A job is shown as it goes on, its share stands in the title, and it can be stopped.
export async function job_under_way(b) {
  await signIn(b)
  let done = 0, state = 'running', asked = ''
  const job = () => ({ id: 7, kind: 'bulk', state, project: 'team-07', by: 'admin', done, total: 1843, failed_count: 2, message: '', created: new Date(Date.now() - 60000).toISOString(), started: new Date(Date.now() - 50000).toISOString(), ended: state === 'running' ? null : new Date().toISOString(), eta: new Date(Date.now() + 20000).toISOString(), params: {}, result: {} })
  await b.page.route('**/api/cove/v1/jobs?*', (r) => { done = Math.min(done + 401, 1604); return r.fulfill({ json: [job()] }) })
  await b.page.route('**/api/cove/v1/jobs/7', (r) => r.fulfill({ json: { ...job(), failed: [{ item: 'team-07/web/shop@sha256:00', reason: 'in use by a running pull' }] } }))
  await b.page.route('**/api/cove/v1/jobs/7/stop', (r) => { asked = r.request().method(); state = 'stopped'; return r.fulfill({ status: 202 }) })
  await b.page.goto(url + '/jobs')
  await b.page.getByRole('progressbar').waitFor()
  await b.page.getByText('2 failed').waitFor()
  await b.page.waitForFunction(() => /^[4-9]\d % Jobs/.test(document.title))
  await b.audit('job under way')
  await b.page.getByRole('button', { name: 'Stop' }).click()
  await b.page.getByText('Stopped').waitFor()
  check(asked === 'POST', 'it was asked to stop')
  await b.page.getByRole('link', { name: '2 failed' }).click()
  await b.page.getByRole('dialog').getByText('in use by a running pull').waitFor()
  await b.audit('dialog job failures')
}

export async function settings(b) {
  await signIn(b)
  await b.page.goto(url + '/settings')
  const row = b.page.getByRole('row').filter({ hasText: 'outbound.allow' })
  await row.getByText('127.0.0.0/8').waitFor()
  await row.getByText('COVE_OUTBOUND_ALLOW').waitFor()
  await b.audit('settings')
  await b.page.getByRole('button', { name: 'Changed' }).click()
  await b.page.getByRole('row').filter({ hasText: 'gc.grace_s' }).waitFor({ state: 'detached' })
  check((await b.page.locator('body').innerText()).includes(process.env.ADMIN_PASSWORD) === false, 'no secret')
  await b.page.locator('[data-filter]').fill('nothing-like-it')
  await b.page.getByText('No setting matches').waitFor()
}

export async function password(b) {
  await signIn(b, 'developer', process.env.USER_PASSWORD)
  check((await b.page.getByRole('link', { name: 'Storage' }).count()) === 0, 'no entry without the right')
  await b.page.getByRole('button', { name: 'Developer' }).click()
  await b.page.getByRole('link', { name: 'Profile and password' }).click()
  await heading(b, 'Profile')
  await b.audit('profile')
  const fill = async (before, fresh, again) => {
    await b.page.getByLabel('Present password').fill(before)
    await b.page.getByLabel('New password', { exact: true }).fill(fresh)
    await b.page.getByLabel('New password again').fill(again)
    await b.page.getByRole('button', { name: 'Change the password' }).click()
  }
  await fill(process.env.USER_PASSWORD, 'Another-word-2', 'Another-word-3')
  await b.page.getByText('are not the same').waitFor()
  b.tolerate(400, 403)
  await fill('wrong-Password-1', 'Another-word-2', 'Another-word-2')
  await b.page.getByRole('alert').waitFor()
  b.tolerate()
  await fill(process.env.USER_PASSWORD, 'Another-word-2', 'Another-word-2')
  await b.page.getByText('The password is changed').waitFor()
  await b.page.goto(url + '/projects')
  await b.page.locator('[role=row] a.main').first().waitFor() // the session goes on
  await b.context.clearCookies()
  await signIn(b, 'developer', 'Another-word-2')
  await b.page.goto(url + '/profile')
  await fill('Another-word-2', process.env.USER_PASSWORD, process.env.USER_PASSWORD)
  await b.page.getByText('The password is changed').waitFor()
}

// Read-only mode: said once, on every page; what changes something can not be used and says why; pulls go on.
export async function read_only(b) {
  await signIn(b)
  await b.page.goto(url + '/settings')
  await heading(b, 'Settings')
  await b.page.getByRole('button', { name: 'Turn on' }).click()
  const dialog = b.page.getByRole('dialog', { name: 'Turn on read-only mode?' })
  await dialog.getByText('refused, and clients say why').waitFor()
  await b.audit('dialog read only')
  await dialog.getByRole('button', { name: 'Turn on' }).click()
  try {
    const banner = b.page.getByRole('status').filter({ hasText: 'Read-only mode.' })
    await banner.getByText('Pulls go on').waitFor()
    await b.audit('read only settings')
    for (const [path, name, button] of [['/projects', 'Projects', 'New project'], ['/storage', 'Storage', 'Collect garbage']]) {
      await b.page.goto(url + path)
      await heading(b, name)
      await banner.waitFor()
      const change = b.page.getByRole('button', { name: button })
      await change.waitFor()
      check(await change.isDisabled(), `${button} can be used`)
      check((await change.getAttribute('title')) === 'Read-only mode: nothing can be changed now', `${button} says why`)
      if (path === '/projects') await b.audit('read only projects')
    }
    await b.page.goto(url + '/projects') // a preview changes nothing: it is shown, with the reason why no more may be
    await b.page.getByRole('checkbox', { name: 'Select hub', exact: true }).check()
    await b.page.getByRole('button', { name: 'Delete…' }).click()
    const preview = b.page.getByRole('dialog', { name: 'Delete hub?' })
    await preview.getByText('Freed').waitFor()
    await preview.getByRole('note').getByText('Read-only mode: nothing can be changed now').waitFor()
    const remove = preview.getByRole('button', { name: 'Delete', exact: true })
    check((await remove.getAttribute('aria-disabled')) === 'true', 'the project can be deleted')
    await b.audit('dialog preview read only')
    await preview.getByRole('button', { name: 'Cancel' }).click()
    await b.page.goto(url + '/upstreams')
    await b.page.getByRole('button', { name: 'Actions for up', exact: true }).click()
    const account = b.page.getByRole('menuitem', { name: 'Account and token…' })
    await account.getByText('Read-only mode: nothing can be changed now').waitFor()
    check((await account.getAttribute('aria-disabled')) === 'true', 'the account can be changed')
    await b.page.getByRole('menuitem', { name: 'Pause…' }).waitFor() // goes on
    b.tolerate(401, 403)
    const refused = await api(b, 'POST', '/api/v2.0/projects', { project_name: 'while-read-only' })
    check(refused.status === 403 && refused.text.includes('read only mode'), refused.text)
    const pulled = await b.page.evaluate(async () => (await fetch('/v2/hub/library/alpine/manifests/3.20')).status)
    check(pulled === 200 || pulled === 401, `a pull answers ${pulled}`)
  } finally {
    await b.page.goto(url + '/settings')
    await b.page.getByRole('button', { name: 'Allow changes again' }).click()
  }
  await b.page.getByRole('button', { name: 'Turn on' }).waitFor()
  await b.page.getByRole('status').filter({ hasText: 'Read-only mode.' }).waitFor({ state: 'detached' })
}
