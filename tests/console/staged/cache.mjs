// The Cache page against a world that changes while it is looked at (test_cache_page.py changes it).
import { check, heading, noPolls, signIn, url } from '../browser.mjs'

async function act(name) {
  const reply = await fetch(`${process.env.CONTROL}/${name}`, { method: 'POST', body: '' })
  const said = await reply.text()
  check(reply.ok, `${name}: ${said}`)
  return said
}
const note = (b, text) => b.page.getByRole('status').filter({ hasText: text })
const row = (b, name) => b.page.getByRole('row', { name: new RegExp(name) })

// Everything that the page says in figures, as JSON for the one who adds it up.
export async function figures(b) {
  await noPolls(b)
  await signIn(b)
  await b.page.getByText('Pulls saved').waitFor()
  await b.page.getByText('How pulls were answered').click()
  await b.page.getByRole('img', { name: /pulls left since/ }).waitFor()
  await b.page.locator('.who li').first().waitFor()
  await row(b, '^Refused for a limit').waitFor()
  const figs = await b.page.locator('.fig').evaluateAll((all) => all.map((f) => [...f.children].map((c) => c.textContent.trim())))
  const cells = (name) => row(b, name).getByRole('cell').allTextContents()
  const answers = {}
  for (const name of ['From the cache, nothing asked', 'From the cache after a check', 'Joined a download', 'From the cache because', 'Fetched from the upstream', 'Refused: neither', 'Requests sent', 'Fetched', 'Could not be reached', 'No answer in time', 'Answered 5xx', 'Refused for a limit'])
    answers[name] = (await cells('^' + name + (name === 'Fetched' ? ' [\\d.]' : ''))).at(-1)
  const users = await b.page.locator('.who li').evaluateAll((all) => all.map((li) => [...li.querySelectorAll(':scope > span:not(.meter)')].map((s) => s.textContent.trim())))
  const upstream = (await cells('^Docker Hub')).map((c) => c.trim())
  const left = (await b.page.locator('.big').textContent()).trim()
  await b.page.getByRole('button', { name: 'Show as a table' }).click()
  await b.page.getByRole('region', { name: /pulls left since/ }).getByRole('row').nth(1).waitFor()
  const sample = await b.page.getByRole('region', { name: /pulls left since/ }).getByRole('row').nth(1).getByRole('cell').allTextContents()
  await b.audit('cache chart as a table')
  const calls = []
  b.page.on('request', (r) => r.url().includes('/api/') && calls.push(r.url()))
  await b.page.getByRole('link', { name: 'Projects', exact: true }).first().click()
  await heading(b, 'Projects')
  calls.length = 0
  await b.page.getByRole('link', { name: 'Cache', exact: true }).first().click()
  await b.page.getByRole('img', { name: /pulls left since/ }).waitFor()
  check(calls.length <= 3, `at most three calls for the page: ${calls}`)
  console.log(JSON.stringify({ figs, answers, users, upstream, left, sample }))
}

export async function quota(b) {
  await signIn(b)
  await note(b, 'Docker Hub may run out of pulls about').waitFor()
  const chart = b.page.getByRole('img', { name: /Docker Hub pulls left since .* of 200 now, forecast to reach zero about \d\d:\d\d, refill by \d\d:\d\d/ })
  await chart.waitFor()
  await b.page.getByText('ci-build').first().waitFor()
  await b.page.getByText('A pinned digest is fetched once.').waitFor()
  await b.audit('cache quota')
  await b.page.getByRole('button', { name: 'See what helps' }).first().click()
  await b.page.getByRole('heading', { name: 'What helps Docker Hub last' }).waitFor()
  await b.page.getByRole('button', { name: /^Keep / }).first().click()
  await b.page.getByText('is not evicted any more.').waitFor()
  await b.page.getByRole('dialog').getByText('kept', { exact: true }).waitFor()
  await b.page.getByLabel(/^Freshness of/).first().selectOption('600')
  await b.page.getByText('is saved.').waitFor()
  await b.audit('dialog what helps')
  await b.page.keyboard.press('Escape')
  await act('to_the_floor')
  await note(b, '8 pulls left').waitFor()
  await b.audit('cache quota floor')
  for (const range of ['6 h', '7 d', '30 d']) {
    await b.page.getByRole('button', { name: range, exact: true }).click()
    await b.page.waitForURL((to) => to.searchParams.get('range') === range.replace(' ', '')) // it is in the URL
    await b.page.getByRole('img', { name: /pulls left since/ }).waitFor()
  }
  await b.page.getByRole('button', { name: '24 h', exact: true }).click()
  await act('refill')
  await b.page.getByRole('img', { name: /199 of 200 now, refill about/ }).waitFor()
  await note(b, 'may run out').waitFor({ state: 'detached' })
  await note(b, 'pulls left').waitFor({ state: 'detached' })
  await b.audit('cache quota refilled')
}

export async function down(b) {
  await signIn(b)
  await row(b, '^Docker Hub').waitFor()
  check((await row(b, '^Docker Hub').locator('.dot.b').count()) === 0, 'all is well at first')
  await act('break_it')
  await note(b, /Docker Hub fails since \d\d:\d\d: answers 503/).waitFor()
  await row(b, '^Docker Hub.*answers 503 since').locator('.dot.b').waitFor()
  await b.page.getByRole('img', { name: /Docker Hub: (failing|some trouble)/ }).waitFor()
  check((await act('pull')) === '200', 'cached images are still served')
  await b.audit('cache upstream down')
  await b.page.getByRole('status').getByRole('link', { name: 'Upstreams' }).click()
  await heading(b, 'Upstreams')
  await b.page.getByText('does not answer, cache only').waitFor()
  await b.page.getByText(/answers? of 5xx/).waitFor()
  await b.page.getByRole('button', { name: 'Test Docker Hub' }).click()
  await b.page.getByText('is there, but').waitFor()
  await b.audit('upstreams down')
  await act('mend_it')
  await b.page.getByRole('button', { name: 'Test Docker Hub' }).click()
  await b.page.getByText('pulls left. This test cost none.').waitFor()
  await b.page.getByText('does not answer, cache only').waitFor({ state: 'detached' })
  await b.page.getByRole('link', { name: 'Cache', exact: true }).first().click()
  await heading(b, 'Cache')
  await note(b, 'Docker Hub fails').waitFor({ state: 'detached' })
  await b.page.goto(url + '/')
  await row(b, '^Docker Hub').waitFor()
  check((await row(b, '^Docker Hub').locator('.dot.b').count()) === 0, 'all is well again')
}
