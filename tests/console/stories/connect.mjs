// Connecting clients: one text for chosen caches, a script for all nodes, a robot made on the spot.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { check, heading, signIn, url } from '../browser.mjs'

export async function connect_script(b) {
  await signIn(b)
  await b.page.goto(url + '/connect')
  const box = (kind) => b.page.getByRole('region', { name: `Configuration for ${kind}` })
  await box('containerd').getByText('/etc/containerd/certs.d/docker.io/hosts.toml').waitFor()
  const wide = await box('containerd').locator('pre').evaluateAll((all) => all.filter((p) => p.scrollWidth > p.clientWidth).length)
  check(wide === 0, 'no text is cut')
  await b.audit('connect all')
  await b.page.locator('label.tag', { hasText: 'hub' }).first().click()
  await b.page.waitForURL(/project=hub/)
  await b.page.getByText('Waiting for the first pull').waitFor()
  const load = b.page.waitForEvent('download')
  await b.page.getByRole('button', { name: 'Script for all nodes' }).click()
  const folder = mkdtempSync(join(tmpdir(), 'cove-script-'))
  await (await load).saveAs(join(folder, 'cove-node.sh'))
  const text = readFileSync(join(folder, 'cove-node.sh'), 'utf8')
  rmSync(folder, { recursive: true })
  check(text.startsWith('#!/bin/sh') && text.includes("containerd_host 'docker.io'") && text.includes(url), 'the script is for this server')
  await b.page.getByText('On each node, as root:').waitFor()
  await b.audit('connect script')
}

export async function connect_robot(b) {
  await signIn(b)
  await b.page.goto(url + '/connect?project=hub')
  await b.page.getByRole('button', { name: 'Make a robot' }).click()
  await b.page.getByLabel('Name of the robot').fill('nodes')
  await b.audit('connect robot form')
  await b.page.getByRole('button', { name: 'Make a robot' }).click()
  await b.page.getByText('This is shown once.').waitFor()
  await b.page.getByRole('region', { name: 'Configuration for containerd' }).getByText('Authorization').waitFor()
  await b.audit('connect robot')
  const name = 'robot$hub+nodes'
  const secret = await b.page.locator('.made .copy code').innerText()
  for (const [kind, part] of [['Kubernetes', `--docker-username='${name}' --docker-password='${secret}'`], ['Helm', `--username '${name}'`], ['containerd', `Basic ${btoa(`${name}:${secret}`)}`]]) {
    await b.page.getByRole('button', { name: kind, exact: true }).click()
    await b.page.getByRole('region', { name: `Configuration for ${kind.toLowerCase()}` }).getByText(part).waitFor()
  }
  const reply = await fetch(`${url}/v2/hub/library/alpine/manifests/3.20`, { headers: { Authorization: 'Basic ' + btoa(`${name}:${secret}`) } })
  check(reply.status === 200, 'the robot pulls')
  const push = await fetch(`${url}/v2/hub/x/blobs/uploads/`, { method: 'POST', headers: { Authorization: 'Basic ' + btoa(`${name}:${secret}`) } })
  check(push.status >= 400, 'and does nothing else')
  await b.page.reload()
  await b.page.getByRole('button', { name: 'Make a robot' }).waitFor()
  check(!(await b.page.locator('body').innerText()).includes(secret), 'the secret is shown once')
}

// The palette finds an image by a part of its tag, and does what the page can do.
export async function palette_images(b) {
  await b.context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url })
  await signIn(b)
  await b.page.goto(url + '/connect?project=hub')
  await b.page.getByRole('button', { name: 'Copy the sign-in command' }).waitFor()
  await b.page.keyboard.press('Control+k')
  await b.page.keyboard.type('copy')
  await b.page.getByRole('option', { name: 'Copy the sign-in command' }).waitFor()
  await b.page.keyboard.press('Enter')
  await b.page.getByRole('dialog').waitFor({ state: 'detached' })
  await b.page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith('docker login '))
  await b.page.keyboard.press('Control+k')
  await b.page.keyboard.type('shop 1.27.3')
  await b.page.getByRole('option', { name: 'team-07/web/shop:1.27.3' }).waitFor()
  await b.audit('palette image')
  await b.page.getByRole('option', { name: 'team-07/web/shop:1.27.3' }).click()
  await b.page.waitForURL(/artifacts\/sha256/)
  await b.page.getByRole('heading', { level: 1 }).getByText('1.27.3').waitFor()
  // and by its digest: the whole of it, or the start as it is shown
  const digest = new URL(b.page.url()).pathname.split('/').pop()
  for (const typed of [digest, digest.slice(7, 15)]) {
    await b.page.goto(url + '/projects')
    await heading(b, 'Projects')
    await b.page.keyboard.press('Control+k')
    await b.page.keyboard.type(typed)
    await b.page.getByRole('option', { name: `team-07/web/shop:` }).and(b.page.locator('[aria-selected=true]')).waitFor()
    if (typed.length < 10) await b.audit('palette digest')
    await b.page.keyboard.press('Enter')
    await b.page.waitForURL('**/' + digest)
  }
}

// A poll that brings nothing new costs no data.
export async function polls_are_304(b) {
  await signIn(b, 'admin', undefined, '/jobs')
  await heading(b, 'Jobs')
  const quiet = await b.page.waitForResponse((r) => r.url().includes('/api/cove/v1/') && r.status() === 304)
  const sent = await quiet.request().allHeaders()
  check(sent['x-harbor-no-session-renewal'] === 'true' && sent['if-none-match'], 'a poll does not keep the session alive')
}
