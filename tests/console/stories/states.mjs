// What a page does when the server does not do what was asked: it says so where it happened, and keeps
// what there is.
import { admin, chord, check, heading, settled, signIn, url } from '../browser.mjs'

const refusal = (status, message, headers = {}) => (r) =>
  r.fulfill({ status, headers: { 'X-Request-Id': '7c1f-e09a', ...headers }, json: { errors: [{ code: 'X', message }] } })

export async function offline(b) {
  await signIn(b)
  await b.page.goto(url + '/projects')
  await b.page.locator('main a.main').first().waitFor()
  b.tolerate('net::ERR')
  await b.context.setOffline(true)
  await b.page.getByText('The server can not be reached.').waitFor()
  await b.audit('offline')
  check(await b.page.getByRole('link', { name: 'team-07' }).isVisible(), 'the last data stays')
  await chord(b, 'g', 'c')
  await b.page.waitForURL(url + '/') // seen before or not, there is a page
  await b.page.goBack()
  await b.page.getByRole('link', { name: 'team-07' }).waitFor() // seen before: there at once
  await b.context.setOffline(false)
  await b.page.getByText('The server can not be reached.').waitFor({ state: 'detached' })
}

export async function too_many(b) {
  await signIn(b)
  await b.page.clock.install()
  await b.page.route(/cove\/v1\/projects\?/, refusal(429, 'slow down', { 'Retry-After': '600' }), { times: 1 })
  b.tolerate(429)
  await b.page.goto(url + '/projects')
  await b.page.getByText('Too many requests').waitFor()
  await b.page.getByRole('timer').waitFor()
  check(await b.page.getByRole('button', { name: 'Try again' }).isDisabled(), 'no use before')
  await b.audit('too many requests')
  await b.page.clock.fastForward(601_000)
  await b.page.locator('main a.main').first().waitFor() // it went on by itself
}

export async function server_error(b) {
  await signIn(b)
  await b.page.route('**/api/cove/v1/projects/team-07/repositories?*', refusal(500, 'disk on fire'))
  b.tolerate(500)
  await b.page.goto(url + '/projects/team-07')
  await heading(b, 'team-07') // one part fails, the others stand
  await b.page.getByText('disk on fire').waitFor()
  await b.page.getByText('request 7c1f-e09a').waitFor()
  await b.audit('server error')
  await b.page.unroute('**/api/cove/v1/projects/team-07/repositories?*')
  await b.page.getByRole('button', { name: 'Try again' }).click()
  await b.page.getByRole('link', { name: 'service-00' }).waitFor()
}

// A right is taken away while the page is open.
export async function forbidden(b) {
  await admin('POST', '/api/v2.0/projects/team-07/members', { role_id: 3, member_user: { username: 'developer' } })
  await signIn(b, 'developer', process.env.USER_PASSWORD, '/projects/team-07')
  await heading(b, 'team-07')
  await b.page.getByRole('link', { name: 'service-00' }).waitFor()
  const members = await (await admin('GET', '/api/v2.0/projects/team-07/members?entityname=developer')).json()
  await admin('DELETE', `/api/v2.0/projects/team-07/members/${members.find((m) => m.entity_name === 'developer').id}`)
  b.tolerate(403)
  await b.page.keyboard.press('/')
  await b.page.keyboard.type('x')
  await b.page.getByText('You may not see the repositories').waitFor()
  await b.page.getByText('repository:list').waitFor() // the right that is missing
  await b.audit('forbidden list')
  await b.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Projects' }).click()
  await heading(b, 'Projects') // the console goes on
  await settled(b)
}

// Nothing yet is not the same as nothing of that name.
export async function nothing(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/team-01')
  await b.page.getByText('Nothing pushed yet').waitFor()
  await b.page.getByText('docker push').waitFor() // the first step
  await b.page.goto(url + '/projects/team-07?filter=nothing-of-that-name')
  await b.page.getByText('No repository matches').waitFor()
  await b.page.getByRole('link', { name: 'Clear the filter' }).click()
  await b.page.getByRole('link', { name: 'service-00' }).waitFor()
}

// The session ends behind a dialog that is half filled in; a browser may close a dialog by force.
export async function expired_in_dialog(b) {
  await signIn(b)
  await b.page.goto(url + '/projects')
  await b.page.getByRole('button', { name: 'New project' }).click()
  await b.page.getByLabel('Project name').fill('half-done')
  b.tolerate(401)
  await b.context.clearCookies()
  await b.page.getByRole('button', { name: 'Create', exact: true }).click()
  await b.page.getByText('Your session has ended').waitFor()
  await b.page.keyboard.press('Escape')
  await b.page.keyboard.press('Escape')
  await b.page.keyboard.press('Escape')
  await b.page.getByText('Your session has ended').waitFor()
  await b.page.getByLabel('Password').fill(process.env.ADMIN_PASSWORD)
  await b.page.keyboard.press('Enter')
  await b.page.getByText('Your session has ended').waitFor({ state: 'detached' })
  check((await b.page.getByLabel('Project name').inputValue()) === 'half-done', 'nothing is lost')
  b.tolerate()
  await b.page.getByRole('button', { name: 'Create', exact: true }).click()
  await heading(b, 'half-done')
}
