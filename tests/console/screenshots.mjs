// node screenshots.mjs: every page and its dialogs, light and dark, on a desktop and on a phone, from the
// server at COVE_URL (test_screenshots.py seeds one) into build/screenshots. To be looked at.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { everyPage, heading, open, settled, signIn, url } from './browser.mjs'

const out = fileURLToPath(new URL('../../build/screenshots/', import.meta.url))
mkdirSync(out, { recursive: true })
const only = process.argv.slice(2)
const shown = { ...(await everyPage()), empty: '/projects/team-01', 'no-match': '/projects?filter=nothing-of-that-name', lost: '/nothing' }
const more = JSON.parse(process.env.SHOW ?? '{}') // further pages of the seed: { name: path }

for (const [size, width, height] of [['desktop', 1440, 1000], ['phone', 390, 844]]) {
  const b = await open({ width, height })
  await signIn(b)
  for (const [name, path] of Object.entries({ ...shown, ...more })) {
    if (only.length && !only.includes(name)) continue
    await b.page.goto(url + path)
    await settled(b)
    for (const theme of ['light', 'dark']) {
      await b.page.evaluate((t) => (document.documentElement.dataset.theme = t), theme)
      await b.page.waitForTimeout(200)
      await b.page.screenshot({ path: `${out}${name}-${size}-${theme}.png`, fullPage: true })
    }
  }
  if (!only.length && size === 'desktop') {
    for (const [name, act] of [
      ['palette', async () => { await b.page.keyboard.press('Control+k'); await b.page.keyboard.type('shop'); await b.page.getByRole('option').first().waitFor() }],
      ['keys', () => b.page.keyboard.press('?')],
    ]) {
      await b.page.goto(url + '/projects')
      await heading(b, 'Projects')
      await settled(b)
      await act()
      for (const theme of ['light', 'dark']) {
        await b.page.evaluate((t) => (document.documentElement.dataset.theme = t), theme)
        await b.page.waitForTimeout(300)
        await b.page.screenshot({ path: `${out}${name}-${size}-${theme}.png` })
      }
    }
  }
  await b.close()
}
