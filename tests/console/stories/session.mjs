// What a session is for the console: it begins, ends, and allows what the server allows.
import { check, heading, signIn, url } from '../browser.mjs'

export async function sign_in(b) {
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
}

export async function expired(b) {
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
}

export async function guest(b) {
  await signIn(b, 'guest', process.env.USER_PASSWORD)
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
}
