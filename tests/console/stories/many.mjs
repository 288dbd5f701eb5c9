// Many projects at once: the page's boxes or all that match, what would happen first, then the server's job.
import { admin, check, heading, signIn, url } from '../browser.mjs'

const box = (b, name) => b.page.getByRole('checkbox', { name: `Select ${name}`, exact: true })
const row = (b, name) => b.page.getByRole('row').filter({ has: b.page.getByRole('link', { name, exact: true }) })

export async function projects_many(b) {
  for (const i of [1, 2, 3]) await admin('POST', '/api/v2.0/projects', { project_name: `crowd-${i}` })
  await signIn(b)
  await b.page.goto(url + '/projects?filter=crowd')
  await box(b, 'crowd-1').check()
  await b.page.getByRole('button', { name: 'Select all 3 matching' }).click()
  await b.page.getByRole('region', { name: '3 selected' }).getByRole('button', { name: 'Access' }).click()
  await b.page.getByRole('menuitem', { name: 'Make public' }).click()
  await b.page.getByRole('dialog').getByText('yes, change it back').waitFor()
  await b.audit('dialog projects public')
  const sent = b.page.waitForRequest((r) => r.url().endsWith('/bulk/visibility') && !r.postDataJSON().dry_run)
  await b.page.getByRole('dialog').getByRole('button', { name: 'Make public' }).click()
  const body = (await sent).postDataJSON()
  check(body.q === 'name=~crowd' && !body.projects, 'the query is sent, not names: ' + JSON.stringify(body))
  await b.page.getByText('They are public now.').waitFor()
  await row(b, 'crowd-3').getByText('Public', { exact: true }).waitFor()

  await box(b, 'crowd-1').check()
  await box(b, 'crowd-2').check()
  await b.page.getByRole('button', { name: 'Quota…' }).click()
  await b.page.getByLabel('Each may store').fill('2')
  await b.page.getByRole('dialog').getByText('Stored in them now').waitFor()
  await b.audit('dialog projects quota')
  await b.page.getByRole('button', { name: 'Limit 2' }).click()
  await row(b, 'crowd-2').getByText('of 2 GB').waitFor()

  await box(b, 'crowd-1').check()
  await b.page.getByRole('button', { name: 'Delete…' }).click()
  const dialog = b.page.getByRole('dialog', { name: 'Delete crowd-1?' })
  await dialog.getByText('Freed').waitFor()
  const go = dialog.getByRole('button', { name: 'Delete', exact: true })
  check((await go.getAttribute('aria-disabled')) === 'true', 'the name is typed first')
  await dialog.getByRole('textbox').fill('crowd-1')
  await b.audit('dialog projects delete')
  await go.click()
  await b.page.getByText('Deleted.').waitFor()
  await box(b, 'crowd-1').waitFor({ state: 'detached' })
  await box(b, 'crowd-2').check()
  await box(b, 'crowd-3').check()
  await b.page.getByRole('button', { name: 'Delete…' }).click()
  await b.page.getByRole('button', { name: 'Delete 2' }).click() // many: no name
  await b.page.getByText('No project matches').waitFor()
}

// What the server leaves out is listed with the reason. Its job is shown on whatever page one goes on working,
// may be stopped, and what failed in it can be tried again.
export async function projects_refused(b) {
  await signIn(b)
  const bodies = []
  await b.page.route('**/api/cove/v1/bulk/delete', (r) => {
    const body = r.request().postDataJSON()
    const plan = { action: 'delete_projects', asked: 3, going: 2, repositories: 4, artifacts: 9, tags: 11, size: 7e9, freed: 7e9, same: 0, over: 0, refused_count: 1, refused: [{ item: 'team-02', reason: 'forbidden', what: 'project:delete' }] }
    if (body.dry_run) return r.fulfill({ json: plan })
    bodies.push(body)
    over = false
    return r.fulfill({ status: 202, json: job() })
  })
  let done = 3, over = false, stop = ''
  const job = () => ({ id: 9, kind: 'bulk', state: over ? 'done' : 'running', done, total: 6, failed_count: 1, failed: [{ item: 'team-02', reason: 'this needs the right project:delete' }], eta: new Date(Date.now() + 20000).toISOString(), ended: over ? new Date().toISOString() : null, params: {}, result: {} })
  await b.page.route('**/api/cove/v1/jobs/9', (r) => r.fulfill({ json: job() }))
  await b.page.route('**/api/cove/v1/jobs/9/stop', (r) => { stop = r.request().method(); return r.fulfill({ status: 202 }) })
  await b.page.goto(url + '/projects?filter=team-0')
  for (const n of ['team-00', 'team-01', 'team-02']) await box(b, n).check()
  await b.page.getByRole('button', { name: 'Delete…' }).click()
  const dialog = b.page.getByRole('dialog')
  await dialog.getByText('7 GB').waitFor()
  await dialog.getByRole('button', { name: 'show' }).click()
  await dialog.getByText('you need the right project:delete').waitFor()
  await b.audit('dialog projects refused')
  await dialog.getByRole('button', { name: 'Delete 2' }).click()
  await dialog.waitFor({ state: 'detached' })

  const bar = b.page.getByRole('region', { name: 'Asked for and under way' }).getByRole('article', { name: 'Deleting' })
  await bar.getByText('3 of 6').waitFor()
  await b.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Upstreams' }).click()
  await heading(b, 'Upstreams')
  done = 4
  await bar.getByText('4 of 6').waitFor()
  await b.audit('job bar')
  await bar.getByRole('button', { name: 'Stop' }).click()
  await bar.getByRole('button', { name: 'Stopping' }).waitFor()
  check(stop === 'POST', 'it was asked to stop')
  over = true
  await bar.getByText('1 failed: this needs the right project:delete').waitFor()
  await bar.getByRole('button', { name: 'show' }).click()
  await bar.getByText('team-02').waitFor()
  await b.audit('job bar failed')
  await bar.getByRole('button', { name: 'Retry those' }).click()
  await bar.getByRole('button', { name: 'Stop' }).waitFor()
  check(bodies.length === 2 && String(bodies[1].projects) === 'team-02' && bodies[1].contents, 'those alone, as before: ' + JSON.stringify(bodies))
  over = true
  await bar.getByRole('button', { name: 'Dismiss' }).click()
  await bar.waitFor({ state: 'detached' })
}

// A guest sees no boxes.
export async function projects_guest(b) {
  await signIn(b, 'guest', process.env.USER_PASSWORD)
  await b.page.goto(url + '/projects')
  await row(b, 'team-07').waitFor()
  check((await b.page.getByRole('checkbox').count()) === 0, 'nothing to choose')
  await heading(b, 'Projects')
}
