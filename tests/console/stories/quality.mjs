// What holds on every page: keyboard, phone, both themes, another language, few calls.
import { chord, check, everyPage, heading, says, settled, signIn, url } from '../browser.mjs'

const focused = (b) =>
  b.page.evaluate(() => {
    const e = document.activeElement
    if (!e || e === document.body || e === document.documentElement) return null
    const box = e.getBoundingClientRect()
    const ring = [e, e.closest('.field, label')].some((x) => x && (getComputedStyle(x).outlineStyle !== 'none' || getComputedStyle(x).boxShadow !== 'none'))
    return { tag: e.tagName, id: e.id, text: (e.getAttribute('aria-label') ?? e.textContent ?? '').trim().slice(0, 40), seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight, ring }
  })
// Tab through the whole page: what has the focus is always seen, and marked.
async function tour(b, name) {
  await b.page.evaluate(() => document.activeElement?.blur())
  let stops = 0
  for (; stops < 400; stops++) {
    await b.page.keyboard.press('Tab')
    const at = await focused(b)
    if (!at) break // around the end
    if (stops > 0 && at.text === 'Skip to the content') break
    check(at.seen, `${name}: the focus is on something unseen: ${JSON.stringify(at)}`)
    check(at.ring, `${name}: the focus is not marked: ${JSON.stringify(at)}`)
  }
  check(stops >= 8 && stops < 400, `${name}: ${stops} stops of the focus`)
}

export async function keyboard(b) {
  b.tolerate(401)
  await b.page.goto(url)
  await b.page.getByLabel('User name').waitFor()
  b.page.mouse.click = () => { throw new Error('by keyboard only') }
  const press = async (...keys) => { for (const k of keys) await b.page.keyboard.press(k) }
  const here = (part) => b.page.evaluate((part) => location.pathname.includes(part), part)
  await b.page.getByLabel('User name').focus()
  await b.page.keyboard.type('admin')
  await press('Tab')
  await b.page.keyboard.type(process.env.ADMIN_PASSWORD)
  await press('Enter')
  await heading(b, 'Cache')
  b.tolerate()
  await press('?')
  await b.page.getByRole('heading', { name: 'Keyboard' }).waitFor()
  await b.audit('dialog keys')
  await press('Escape')
  await chord(b, 'g', 'p')
  await heading(b, 'Projects')
  await b.page.locator('main a.main').first().waitFor()
  check((await focused(b))?.id === 'main', 'a new page takes the focus')
  await press('j', 'j', 'k', 'Enter')
  await b.page.waitForURL(/\/projects\/\w+/)
  await b.page.getByRole('navigation', { name: 'Breadcrumb' }).waitFor()
  await press('Escape')
  await heading(b, 'Projects') // one level up
  await press('Control+k')
  await b.page.keyboard.type('shop')
  await b.page.getByRole('option', { name: /team-07\/web\/shop/ }).waitFor()
  await b.audit('dialog palette')
  await press('ArrowDown', 'ArrowUp')
  for (let i = 0; i < 20 && !(await b.page.getByRole('option', { name: /team-07\/web\/shop/, selected: true }).count()); i++) await press('ArrowDown')
  await press('Enter')
  await heading(b, 'web/shop')
  await says(b.page.getByText('Copied').first(), () => press('c'))
  await b.page.locator('[role=row] a.main').first().waitFor()
  await press('j', 'Enter')
  await b.page.getByRole('heading', { level: 1, name: /^shop:/ }).waitFor()
  // A dialog takes the focus, keeps it, and gives it back to its opener.
  const opener = b.page.getByRole('button', { name: 'Tag', exact: true })
  await opener.focus()
  await press('Enter')
  await b.page.getByRole('dialog').waitFor()
  for (let i = 0; i < 12; i++) {
    await press('Tab')
    check(await b.page.evaluate(() => document.activeElement === document.body || !!document.activeElement.closest('dialog')), 'the focus stays in the dialog')
  }
  await press('Escape')
  await b.page.getByRole('dialog').waitFor({ state: 'detached' })
  check(await opener.evaluate((e) => e === document.activeElement), 'the focus is back on the opener')
  // A menu is walked with arrows, and Esc closes it and not the page.
  const menu = b.page.locator('main [aria-haspopup=menu]').first()
  await menu.focus()
  await press('Enter')
  await b.page.getByRole('menuitem').first().waitFor()
  check(await b.page.evaluate(() => document.activeElement.getAttribute('role') === 'menuitem'), 'the focus is in the menu')
  await press('ArrowDown', 'Escape')
  check(await menu.evaluate((e) => e === document.activeElement), 'the focus is back on the menu')
  check(await menu.evaluate((e) => (e.click(), document.activeElement.getAttribute('role'))) === 'menuitem', 'no key falls between the opening and the focus')
  await press('Escape')
  check(await here('/artifacts/'), 'Esc closed the menu alone')
  // The account, from the keyboard: it opens, Esc closes it, the focus is where it was.
  const account = b.page.getByRole('button', { name: 'admin' })
  await account.focus()
  await press('Enter')
  await b.page.getByRole('button', { name: 'Sign out' }).waitFor()
  await press('Escape')
  await b.page.getByRole('button', { name: 'Sign out' }).waitFor({ state: 'hidden' })
  check(await account.evaluate((e) => e === document.activeElement), 'the focus is back on the account')
  check(await here('/artifacts/'), 'Esc closed one thing, not two')
  await chord(b, 'g', 'p')
  await heading(b, 'Projects')
  await b.page.locator('main a.main').first().waitFor()
  await press('/')
  await b.page.keyboard.type('g?jc') // letters while typing are letters
  await b.page.getByText('No project matches').waitFor()
  await press('Escape')
  check((await focused(b))?.id === 'main', 'Esc leaves the filter')
  await b.page.goto(url + '/projects')
  await b.page.locator('main a.main').first().waitFor()
  await press('Tab')
  check((await focused(b))?.text === 'Skip to the content', 'the first Tab skips')
  await press('Enter')
  check((await focused(b))?.id === 'main', 'focus is in the content')
}

export async function focus(b) {
  await signIn(b)
  for (const [name, path] of Object.entries(await everyPage())) {
    await b.page.goto(url + path)
    await settled(b)
    await tour(b, name)
  }
}

const tooWide = (b) => b.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)

export async function phone(b) {
  await signIn(b)
  for (const [name, path] of Object.entries({ ...(await everyPage()), empty: '/projects/team-01', 'no match': '/projects?filter=nothing-of-that-name', lost: '/nothing' })) {
    await b.page.goto(url + path)
    await settled(b)
    check((await tooWide(b)) <= 0, `${path} is ${await tooWide(b)} px too wide`)
    await b.audit('phone ' + name)
  }
  const bar = b.page.getByRole('navigation', { name: 'Sections' })
  await bar.locator('> a, > button').last().waitFor()
  check((await bar.locator('> a, > button').count()) === 5, 'five items in the bar')
  const heights = await bar.locator('> a, > button').evaluateAll((all) => all.map((e) => e.getBoundingClientRect().height))
  check(heights.every((h) => h >= 40), 'a finger hits each: ' + heights)
  await bar.getByRole('link', { name: 'Projects' }).click()
  await heading(b, 'Projects')
  await bar.getByRole('button', { name: 'More' }).click()
  await b.page.getByRole('button', { name: 'Sign out' }).waitFor()
  await b.audit('dialog phone menu')
  await b.page.getByRole('group', { name: 'Account' }).getByRole('link', { name: 'Upstreams' }).click()
  await heading(b, 'Upstreams')
  await b.page.getByRole('button', { name: 'Sign out' }).waitFor({ state: 'hidden' })
}
phone.view = { width: 390, height: 844 }

// Every page in English that is longer and accented: everything comes from src/lang, and fits.
async function pseudo(b) {
  await signIn(b)
  await b.page.evaluate(() => localStorage.setItem('language', 'en-XA'))
  for (const [name, path] of Object.entries({ ...(await everyPage()), empty: '/projects/team-01', 'no match': '/projects?filter=nothing-of-that-name', lost: '/nothing' })) {
    await b.page.goto(url + path)
    await settled(b)
    check((await tooWide(b)) <= 0, `${path} is ${await tooWide(b)} px too wide`)
    const wrong = await b.page.evaluate(() => {
      const bad = []
      for (const e of document.querySelectorAll('button, .btn, th, dt, label, h1, h2, .tabs a, .item')) {
        const cut = e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).overflowX !== 'visible' && getComputedStyle(e).textOverflow !== 'ellipsis'
        if (cut && !e.closest('.sr, .tabs, .seg')) bad.push('cut: ' + e.textContent.trim().slice(0, 40))
      }
      const key = document.body.innerText.match(/\b(artifact|cache|client|common|error|job|key|project|projects|repository|settings|shell|storage|upstream|user|wizard)\.[a-z_]+\b/)
      if (key && !/\.(md|json|io|dev|com)$/.test(key[0])) bad.push('a key is shown: ' + key[0])
      // Whatever a control or a heading says comes from the language, a name excepted.
      for (const e of document.querySelectorAll('main th, main dt, main label.l, main .btn, nav .item'))
        if (/\p{L}{3,}/u.test(e.textContent) && !e.textContent.includes('[') && !e.closest('.seg')) bad.push('not translated: ' + e.textContent.trim().slice(0, 40))
      for (const e of document.querySelectorAll('[aria-label], [placeholder], [title]'))
        for (const a of ['aria-label', 'placeholder']) if (/\p{L}{3,} \p{L}/u.test(e.getAttribute(a) ?? '') && !e.getAttribute(a).includes('[')) bad.push(`not translated: ${a}="${e.getAttribute(a)}"`)
      return bad
    })
    check(!wrong.length, `${path}: ${wrong.slice(0, 6).join('; ')}`)
    await b.audit(`pseudo ${name}`)
  }
}
export async function pseudo_wide(b) {
  await pseudo(b)
}
export async function pseudo_phone(b) {
  await pseudo(b)
}
pseudo_phone.view = { width: 390, height: 844 }

export async function pages(b) {
  await signIn(b)
  const metrics = Object.fromEntries((await (await fetch(url + '/metrics')).text()).split('\n').filter((l) => /^cove_\w+ /.test(l)).map((l) => l.split(' ')))
  await b.page.getByText('How pulls were answered').click()
  const row = async (name) => (await b.page.getByRole('row', { name: new RegExp('^' + name) }).getByRole('cell').last().textContent()).replace(',', '')
  check((await row('Fetched from the upstream')) === metrics.cove_proxy_misses_total, 'misses as /metrics says')
  check((await row('From the cache, nothing asked')) === metrics.cove_proxy_hits_total, 'hits as /metrics says')
  for (const [name, path] of Object.entries({ ...(await everyPage()), 'project empty': '/projects/team-01', 'connect podman': '/connect?project=hub&client=podman', lost: '/nothing' })) {
    await b.page.goto(url + path)
    await settled(b)
    await b.audit(name)
  }
}
