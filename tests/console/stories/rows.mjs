// What can be done with one row, by its menu, and which columns a table has.
import { check, heading, settled, signIn, url } from '../browser.mjs'

const row = (b, name) => b.page.getByRole('row').filter({ has: b.page.getByRole('link', { name, exact: true }) })
const menu = (b, name) => row(b, name).getByRole('button', { name: /^Actions for / })
const items = async (b) => (await b.page.getByRole('menuitem').allInnerTexts()).map((text) => text.trim())
const take = async (b, name, item) => {
  await menu(b, name).click()
  await b.page.getByRole('menuitem', { name: item, exact: true }).click()
}

export async function menus(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/team-07')
  await row(b, 'service-01').waitFor()
  // by keyboard: m opens it from the row's link, Tab and Enter do so too; Esc gives the focus back
  for (const key of ['j', 'm']) await b.page.keyboard.press(key)
  check(await b.page.evaluate(() => document.activeElement.getAttribute('role') === 'menuitem'), 'no key falls between the opening and the focus')
  await b.page.getByRole('menuitem', { name: 'Delete…' }).waitFor()
  check((await items(b)).join() === 'Open,All its tags,Copy the pull command,Delete…', `of a repository: ${await items(b)}`)
  await b.audit('dialog row menu')
  await b.page.keyboard.press('Escape')
  await b.page.waitForFunction(() => document.activeElement.matches('[data-i="0"] a.main'))
  for (const key of ['Tab', 'Enter']) await b.page.keyboard.press(key)
  await b.page.getByRole('menuitem', { name: 'Open' }).waitFor()
  check((await b.page.locator('[data-i="0"] .more').getAttribute('aria-expanded')) === 'true', 'the button says that it is open')
  await b.page.keyboard.press('Escape')
  await b.page.waitForFunction(() => document.activeElement.matches('[data-i="0"] .more[aria-expanded="false"]'))
  // by the pointer, while that of a row below is open: one press is enough; with a preview of what goes
  await menu(b, 'service-06').click()
  await menu(b, 'service-02').click()
  await b.page.getByRole('menuitem', { name: 'Delete…' }).click()
  const dialog = b.page.getByRole('dialog')
  await dialog.getByRole('heading', { name: 'Delete service-02?' }).waitFor()
  await dialog.getByRole('listitem').filter({ hasText: 'Freed' }).waitFor()
  await b.audit('dialog delete repository')
  await dialog.getByRole('button', { name: 'Delete', exact: true }).click()
  await b.page.getByText('service-02 is deleted').waitFor()
  await row(b, 'service-02').waitFor({ state: 'detached' })

  await b.page.goto(url + '/projects/team-07/repositories/multi')
  await b.page.getByText('2.0-amd64').first().waitFor()
  const amd64 = b.page.getByRole('row').filter({ hasText: '2.0-amd64' })
  const latest = b.page.getByRole('row').filter({ hasText: 'latest' })
  const press = async (which, item) => {
    await which.getByRole('button', { name: /^Actions for / }).click()
    await b.page.getByRole('menuitem', { name: item }).click()
  }
  await press(amd64, 'Copy the digest')
  await b.page.getByText(/^Copied: sha256:/).waitFor()
  await press(amd64, 'Add a tag')
  await b.page.getByLabel('Tag', { exact: true }).fill('kept')
  await b.page.getByRole('button', { name: 'Add the tag' }).click()
  await amd64.getByText('kept').waitFor()
  await press(amd64, 'Select to compare')
  await press(latest, /^Compare with /)
  await b.page.getByRole('heading', { name: 'Compare' }).waitFor()
  await b.page.goto(url + '/projects/team-07/repositories/multi?view=tags')
  await take(b, 'kept', 'Remove the tag')
  await b.page.getByRole('dialog').getByRole('heading', { name: 'Remove 1 tag?' }).waitFor()
  await b.page.getByRole('button', { name: 'Remove 1 tag' }).click()
  await row(b, 'kept').waitFor({ state: 'detached' })
  await b.page.goto(url + '/projects?filter=team-07')
  await menu(b, 'team-07').click()
  await b.page.getByRole('menuitem', { name: 'Make public' }).waitFor()
}

// Who may only look sees what only looks.
export async function menus_of_a_guest(b) {
  await signIn(b, 'guest', process.env.USER_PASSWORD, '/projects/team-07')
  await menu(b, 'multi').click()
  await b.page.getByRole('menuitem', { name: 'Open' }).waitFor()
  check(!(await items(b)).includes('Delete…'), `a guest deletes nothing: ${await items(b)}`)
  check((await b.page.getByRole('checkbox').count()) === 0, 'and selects nothing')
  await b.page.goto(url + '/projects/team-07/repositories/multi')
  await b.page.getByRole('row').filter({ hasText: 'latest' }).getByRole('button', { name: /^Actions for / }).click()
  await b.page.getByRole('menuitem', { name: 'Copy the digest' }).waitFor()
  check(!(await items(b)).some((x) => /tag|Delete/.test(x)), `a guest changes nothing: ${await items(b)}`)
}

export async function columns(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/team-07/repositories/multi')
  const head = (name) => b.page.getByRole('columnheader', { name })
  await head('Platforms').waitFor()
  await b.page.getByRole('button', { name: 'Columns' }).focus()
  await b.page.keyboard.press('Enter')
  check(await b.page.evaluate(() => document.activeElement.closest('label')?.textContent.startsWith('Platforms')), 'the focus is in the box at once')
  await b.page.keyboard.press('Space')
  await head('Platforms').waitFor({ state: 'detached' })
  await b.page.getByRole('checkbox', { name: 'Pushed' }).check()
  await head('Pushed').waitFor()
  await b.audit('dialog columns')
  await b.page.keyboard.press('Escape')
  await b.page.reload()
  await head('Pushed').waitFor()
  check((await head('Platforms').count()) === 0, 'a reload keeps the choice')
  // a narrow window: what matters least stands back, and the digests stay to be read
  await b.page.setViewportSize({ width: 960, height: 800 })
  await head('Attached').waitFor({ state: 'detached' })
  await head('Size').waitFor()
  check((await b.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, 'nothing is too wide')
  await b.page.getByRole('button', { name: 'Columns' }).click()
  await b.page.getByText('no room for it here').first().waitFor()
  await heading(b, 'multi')
  await settled(b)
}
