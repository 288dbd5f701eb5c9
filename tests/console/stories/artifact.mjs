// One artifact: how to pull it, its tags, what hangs on it.
import { check, digestOf, heading, host, settled, signIn, url } from '../browser.mjs'

export async function artifact(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/team-07/repositories/web/shop')
  await b.page.getByText('1.27.3').waitFor()
  await b.audit('repository')
  await b.page.locator('[role=row] a.main').click()
  await heading(b, 'shop:1.27.3')
  await b.page.getByText(`docker pull ${host}/team-07/web/shop:1.27.3`).waitFor()
  await b.page.getByRole('button', { name: 'podman' }).click()
  await b.page.getByLabel('Name by').selectOption('digest')
  await b.page.getByText(/podman pull .*web\/shop@sha256:/).waitFor()
  await b.audit('artifact')
  for (const [name, text] of [['Attached', 'Nothing attached'], ['Layers', 'only here'], ['Pulls', 'Pulls in all'], ['Manifest', 'schemaVersion']]) {
    await b.page.getByRole('navigation', { name: 'Parts' }).getByRole('link', { name }).click()
    await b.page.getByText(text).first().waitFor()
    await b.audit(`artifact ${name.toLowerCase()}`)
  }
  await b.page.getByRole('button', { name: 'Configuration' }).click()
  await b.page.getByText('"architecture"').waitFor()
  await b.page.getByRole('link', { name: 'Tags over time' }).click()
  await b.page.getByRole('button', { name: 'Show as a table' }).click()
  await b.page.getByRole('cell', { name: 'latest' }).first().waitFor()
  await b.page.getByRole('button', { name: 'Why?' }).click()
  await b.page.getByText('Nothing here is deleted by itself.').waitFor()
  await b.audit('dialog why kept')
  await b.page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  await choose(b, 'Remove the tag latest')
  await b.audit('dialog remove tag')
  await b.page.getByRole('button', { name: 'Remove the tag', exact: true }).click()
  await b.page.getByText('The tag latest is gone').waitFor()
  // and back: from the toast, with a reason
  await b.page.getByRole('button', { name: 'Undo' }).first().click()
  await b.page.getByLabel('Why', { exact: true }).fill('it was not meant')
  await b.page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click()
  await b.page.getByText('latest now points to').waitFor()
  await b.page.getByText('it was not meant').first().waitFor()
  await b.page.getByRole('button', { name: 'Tag', exact: true }).click()
  await b.page.getByLabel('Tag', { exact: true }).fill('stable')
  await b.page.getByRole('button', { name: 'Add the tag' }).click()
  await b.page.locator('.tag', { hasText: 'stable' }).waitFor()
  await b.page.goto(url + '/projects/team-07/repositories/service-28')
  await b.page.locator('[role=row] a.main').click()
  await heading(b, 'service-28:v1')
  await choose(b, 'Delete…')
  await b.page.getByText('Tags that go').waitFor()
  await b.audit('dialog delete artifact')
  await b.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await b.page.getByText('Nothing in it').or(b.page.getByText('There is no such thing')).first().waitFor()
}

async function choose(b, item) {
  await b.page.getByRole('button', { name: 'More to do' }).click()
  await b.page.getByRole('menuitem', { name: item }).click()
}

const row = (b, text) => b.page.getByRole('listitem').filter({ hasText: text })

// An upstream moved a tag: shown with its cause, undone with a reason, and the next pull of a real client
// gets what was there before. Another session that still sees the old state is told, and nothing changes.
export async function undo(b) {
  const was = await digestOf('moving/library/tool:1')
  await signIn(b)
  await b.page.goto(url + '/projects/moving/repositories/library/tool')
  await b.page.getByRole('link', { name: was.slice(7, 15) }).click()
  await row(b, 'Upstream moved the tag; seen by a pull from admin.').waitFor()
  await row(b, 'The tag came from upstream').waitFor()
  await b.audit('artifact moved')
  const other = await (await b.context.browser().newContext({ viewport: { width: 1280, height: 860 } })).newPage()
  await signIn({ page: other, tolerate: () => {} }, 'admin', process.env.ADMIN_PASSWORD, new URL(b.page.url()).pathname)
  await other.getByRole('button', { name: 'Undo' }).click()
  await other.getByLabel('Why', { exact: true }).fill('I saw it too')

  await b.page.getByRole('button', { name: 'Undo' }).click()
  await b.audit('dialog undo')
  await b.page.getByLabel('Why', { exact: true }).fill('the new one breaks the build')
  await b.page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click()
  await b.page.getByText('1 now points to').waitFor()
  await row(b, 'The tag was pointed here by admin. Reason: “the new one breaks the build”.').waitFor()
  const now = await digestOf('moving/library/tool:1')
  check(now !== was, `a client still gets ${was}`)

  await other.getByRole('dialog').getByRole('button', { name: 'Undo' }).click()
  await other.getByRole('heading', { name: '1 moved meanwhile' }).waitFor()
  await other.getByText('the new one breaks the build').first().waitFor()
  check((await digestOf('moving/library/tool:1')) === now, 'a stale undo changed something')
  await other.context().close()

  // given back, upstream decides again
  await b.page.goto(url + `/projects/moving/repositories/library/tool/artifacts/${now}`)
  await b.page.getByText('Kept: pinned in the cache').waitFor()
  await b.audit('artifact pinned')
  await choose(b, 'Give 1 back to upstream')
  await b.page.getByText('Upstream decides about 1 again').waitFor()
  check((await digestOf('moving/library/tool:1')) === was, 'upstream does not decide again')
}

// An index: its graph, its layers; and what goes when it is deleted.
export async function family(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/team-07/repositories/gone')
  await b.page.getByRole('row').filter({ hasText: '1.0' }).getByRole('link').first().click()
  await heading(b, 'gone:1.0')
  for (const text of ['linux/amd64', 'linux/arm64', 'SBOM', 'Signature']) await b.page.getByRole('listitem').filter({ hasText: text }).first().waitFor()
  await b.audit('artifact index')
  await b.page.getByRole('link', { name: /^Contents/ }).click()
  await b.page.getByRole('cell', { name: 'linux/arm64' }).waitFor()
  await b.audit('artifact contents')
  await b.page.getByRole('link', { name: 'Layers', exact: true }).click()
  await b.page.getByRole('link', { name: 'linux/arm64' }).click()
  await b.page.getByText('RUN apt-get install -y tool').waitFor()
  await b.page.getByRole('link', { name: 'team-07/multi' }).waitFor()
  await b.audit('artifact layers of an image')
  await b.page.goBack()
  await choose(b, 'Delete…')
  const dialog = b.page.getByRole('dialog')
  await dialog.getByRole('listitem').filter({ hasText: 'Contained artifacts' }).getByText('1 goes too').waitFor() // amd64 has a tag of its own
  await dialog.getByRole('listitem').filter({ hasText: 'Attached artifacts' }).getByText('1 goes too').waitFor()
  await b.audit('dialog delete index')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await b.page.getByText('gone:1.0 is deleted').waitFor()
  await b.page.getByRole('row').filter({ hasText: '2.0-amd64' }).waitFor()
}

// A page is selected, then all that match; what may not go is refused and listed. Two are compared.
export async function many(b) {
  await signIn(b)
  await b.page.goto(url + '/projects/team-07/repositories/many?sort=version')
  const at = (i) => b.page.locator(`[data-i="${i}"]`)
  await at(0).getByText('1.59').waitFor()
  await at(1).getByText('1.58').waitFor()
  for (const i of [0, 1]) await at(i).getByRole('checkbox').check()
  await b.audit('repository selection')
  await b.page.getByRole('link', { name: 'Compare' }).click()
  await b.page.getByRole('heading', { name: 'Compare' }).waitFor()
  await b.page.getByRole('cell', { name: 'first only' }).waitFor()
  await b.audit('compare')
  await b.page.goBack()
  const chosen = b.page.locator('[role=row][aria-selected=true]')
  await chosen.nth(1).waitFor()
  check((await chosen.count()) === 2, 'Back restores what was chosen')
  await b.page.getByRole('checkbox', { name: 'Select the rows that are shown' }).check()
  await b.page.getByRole('button', { name: 'Select all 60 matching' }).click()
  await b.page.getByText('60 selected').waitFor()
  await b.page.getByRole('button', { name: 'Delete…' }).click()
  await b.page.getByRole('heading', { name: 'Delete 60 artifacts?' }).waitFor()
  await b.audit('dialog bulk preview')
  await b.page.getByRole('button', { name: 'Delete 60' }).click()
  await b.page.getByText('60 artifacts deleted').waitFor()
  await b.page.getByText('Nothing in it').waitFor()

  await b.page.goto(url + '/projects/team-07/repositories/multi')
  await b.page.getByRole('button', { name: /attached/ }).first().click()
  await b.page.getByRole('menuitem', { name: 'SBOM' }).waitFor()
  await b.audit('repository attached')
  await b.page.keyboard.press('Escape')
  await b.page.getByRole('row').filter({ hasText: '2.0-amd64' }).getByRole('checkbox').check()
  await b.page.locator('[data-i]').last().getByRole('checkbox').check()
  await b.page.getByRole('button', { name: 'Delete…' }).click()
  await b.page.getByRole('heading', { name: 'Delete 1 of 2 artifacts?' }).waitFor()
  await b.page.getByRole('button', { name: 'show' }).click()
  await b.page.getByText(/the index .* contains it/).waitFor()
  await b.audit('dialog bulk refused')
  await b.page.getByRole('button', { name: 'Delete 1' }).click()
  await b.page.getByText(/1 failed: an index contains it/).waitFor()
  await b.audit('job bar kept')
}

// At 390 px nothing scrolls sideways, and all can be reached.
export async function narrow(b) {
  await signIn(b)
  const fits = async (what) => {
    await settled(b)
    await b.audit(`phone ${what}`)
    const over = await b.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    check(over <= 0, `${what} is ${over} px too wide`)
  }
  await b.page.goto(url + '/projects/team-07/repositories/multi')
  await b.page.getByText('2.0-amd64').first().waitFor()
  await fits('repository')
  await b.page.locator('[data-i="0"]').getByRole('checkbox').check()
  await fits('selection')
  await b.page.getByRole('row').filter({ hasText: '2.0-amd64' }).getByRole('link').first().click()
  await heading(b, 'multi:2.0-amd64')
  await fits('artifact')
  for (const tab of ['', 'attached', 'layers', 'pulls', 'manifest']) {
    await b.page.goto(url + new URL(b.page.url()).pathname + (tab ? `?tab=${tab}` : ''))
    await b.page.getByText('Cleanup').waitFor()
    await fits(`artifact ${tab}`)
  }
}
narrow.view = { width: 390, height: 844 }
