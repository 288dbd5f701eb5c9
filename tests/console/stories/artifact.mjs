// One artifact: how to pull it, its tags, what hangs on it.
import { heading, host, signIn, url } from '../browser.mjs'

export async function artifact(b) {
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
}
