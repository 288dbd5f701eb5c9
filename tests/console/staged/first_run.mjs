// From an empty store to the first pull, in the browser alone; then the texts for clients, copied from
// the page and used by the real programs.
import { check, heading, says, signIn, url, within } from '../browser.mjs'

async function act(name, text) {
  const reply = await fetch(`${process.env.CONTROL}/${name}`, { method: 'POST', body: text })
  const said = await reply.text()
  check(reply.ok, `${name}: ${said}`)
  return said
}

// What stands in the clipboard after the page's own button was pressed.
async function copied(b, kind) {
  await b.page.getByRole('region', { name: `Configuration for ${kind}` }).waitFor()
  await says(b.page.getByText('Copied', { exact: true }).first(), () => b.page.getByRole('button', { name: 'Copy the configuration' }).click())
  return b.page.evaluate(() => navigator.clipboard.readText())
}

// The client pulls while the page waits; what it says of the time is since the client had its image.
async function seen(b, kind, text) {
  const digest = await act(kind, text)
  const began = Date.now()
  await b.page.getByText('First pull seen:').waitFor()
  within(Date.now() - began, 2000, `${kind}: ${digest}, seen after`)
}

export async function first_run(b) {
  await b.context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url })
  await signIn(b)
  await heading(b, 'Cache')
  await b.page.getByText('No pull through a proxy cache yet').waitFor()
  await b.audit('cache empty')
  await b.page.getByRole('link', { name: 'New proxy cache' }).click()
  await heading(b, 'New proxy cache')
  await b.page.getByText('Any registry').click()
  await b.page.getByRole('textbox', { name: 'Address' }).fill(process.env.UPSTREAM)
  await b.page.getByLabel('Project name').fill('hub')
  await b.page.getByRole('button', { name: 'Check the connection' }).click()
  await b.page.getByText(/^Reached/).waitFor()
  for (const next of ['freshness', 'limits', 'access']) await b.page.getByRole('button', { name: `Continue to ${next}` }).click()
  await b.page.getByText('Everybody', { exact: true }).click()
  await b.page.getByLabel('Stands for the names').fill('docker.io')
  await b.page.getByRole('button', { name: 'Create', exact: true }).click()
  await b.page.getByText('Waiting for the first pull').waitFor()
  await seen(b, 'containerd', await copied(b, 'containerd'))
  await b.audit('wizard first pull')
  await b.page.getByRole('link', { name: 'cove-first/app:1' }).waitFor()
  for (const kind of ['docker', 'podman']) {
    await b.page.goto(`${url}/connect?project=hub&client=${kind}`)
    await b.page.getByText('Waiting for the first pull').waitFor()
    await seen(b, kind, await copied(b, kind))
  }
  await b.audit('connect first pull')
  for (const kind of ['crio', 'k3s', 'rke2', 'buildkit', 'kubernetes', 'helm', 'ci']) {
    await b.page.goto(`${url}/connect?project=hub&client=${kind}`)
    const text = await copied(b, kind)
    check(text.includes(url.replace('http://', '')), `${kind} says this server's address`)
  }
}
