// node run.mjs FILE NAME: one story of stories/FILE.mjs; exit status 0 when it holds. A story is an
// exported function; `story.view = { width, height, theme }` where it needs another window.
import { open } from './browser.mjs'

const [file, name] = process.argv.slice(2)
const story = (await import(`./stories/${file}.mjs`))[name]
const b = await open(story.view ?? {})
try {
  await story(b)
  await b.close()
} catch (e) {
  console.error(String(e.stack ?? e))
  console.error(await b.page.locator('body').innerText().then((t) => t.slice(0, 1500), () => ''))
  process.exit(1)
}
