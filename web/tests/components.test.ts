// What each primitive promises to the keyboard and to a screen reader.
import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte'
import userEvent from '@testing-library/user-event'
import { createRawSnippet, tick } from 'svelte'
import { afterEach, expect, test, vi } from 'vitest'
import { Failure } from '../src/lib/api'
import { navigate, route } from '../src/lib/router.svelte'
import { dismiss, toast, toasts } from '../src/lib/toast.svelte'
import Button from '../src/ui/Button.svelte'
import Confirm from '../src/ui/Confirm.svelte'
import Copy from '../src/ui/Copy.svelte'
import Dialog from '../src/ui/Dialog.svelte'
import Failed from '../src/ui/Failed.svelte'
import Filter from '../src/ui/Filter.svelte'
import Menu from '../src/ui/Menu.svelte'
import Meter from '../src/ui/Meter.svelte'
import Seg from '../src/ui/Seg.svelte'
import Select from '../src/ui/Select.svelte'
import Spark from '../src/ui/Spark.svelte'
import Tabs from '../src/ui/Tabs.svelte'
import Toasts from '../src/ui/Toasts.svelte'
import Words from '../src/ui/Words.svelte'

const text = (html: string) => createRawSnippet(() => ({ render: () => `<span>${html}</span>` }))
afterEach(() => {
  vi.useRealTimers()
  cleanup()
})

test('Menu: opens on its first item; arrows, Home, End and letters move; Esc gives the focus back', async () => {
  const run = vi.fn()
  render(Menu, { label: 'Actions of nginx', items: [{ text: 'Scan', run }, { text: 'Delete', run: () => {}, why: 'the tag is immutable' }, { text: 'Settings', href: '/settings' }] })
  const user = userEvent.setup()
  const button = screen.getByRole('button', { name: 'Actions of nginx' })
  expect(button.getAttribute('aria-haspopup')).toBe('menu')
  await user.click(button)
  expect(button.getAttribute('aria-expanded')).toBe('true')
  const items = screen.getAllByRole('menuitem')
  expect(document.activeElement).toBe(items[0])
  await user.keyboard('{ArrowDown}')
  expect(document.activeElement).toBe(items[1])
  await user.keyboard('{End}')
  expect(document.activeElement).toBe(items[2])
  await user.keyboard('{ArrowDown}')
  expect(document.activeElement).toBe(items[0]) // round
  await user.keyboard('{ArrowUp}')
  expect(document.activeElement).toBe(items[2])
  await user.keyboard('{Home}d')
  expect(document.activeElement).toBe(items[1])
  await user.keyboard('{Enter}') // not possible now: it stays, and says why
  expect(button.getAttribute('aria-expanded')).toBe('true')
  expect(items[1]!.getAttribute('aria-disabled')).toBe('true')
  expect(items[1]!.textContent).toContain('the tag is immutable')
  await user.keyboard('{Home}{Enter}')
  expect(run).toHaveBeenCalledOnce()
  expect(button.getAttribute('aria-expanded')).toBe('false')
  expect(document.activeElement).toBe(button)
})

test('Filter: is in the URL a moment after the last key, and never in that of the next page', async () => {
  vi.useFakeTimers()
  navigate('/projects')
  const { unmount } = render(Filter, { label: 'Filter' })
  const box = screen.getByRole<HTMLInputElement>('searchbox')
  const type = (text: string) => fireEvent.input(box, { target: { value: text } })
  await type('team ')
  await vi.advanceTimersByTimeAsync(500)
  expect(route.search).toBe('?filter=team')
  expect(box.value).toBe('team ') // more may come
  await type('team 0')
  navigate('/projects') // cleared by its link
  await tick()
  await vi.advanceTimersByTimeAsync(500)
  expect(route.search).toBe('')
  expect(box.value).toBe('')
  await type('x')
  unmount()
  navigate('/jobs')
  await vi.advanceTimersByTimeAsync(500)
  expect(route.path + route.search).toBe('/jobs')
})

test('Tabs: links; which is open stands in the URL, the first is the default', async () => {
  navigate('/projects/hub?filter=x&page=2')
  render(Tabs, { label: 'Parts', tabs: [['repositories', 'Repositories', 1402], ['members', 'Members']], reset: ['page'] })
  const [first, second] = screen.getAllByRole('link')
  expect(first!.getAttribute('aria-current')).toBe('page')
  expect(first!.textContent).toBe('Repositories1,402')
  expect(second!.getAttribute('href')).toBe('/projects/hub?filter=x&tab=members')
  navigate(second!.getAttribute('href')!)
  await tick()
  expect(second!.getAttribute('aria-current')).toBe('page')
  expect(first!.getAttribute('href')).toBe('/projects/hub?filter=x')
})

test('Dialog: is named by its title; Esc and a click beside it close it, where it may be closed', async () => {
  const close = vi.fn()
  const { unmount } = render(Dialog, { title: 'Sure?', close, children: text('x') })
  const box = screen.getByRole('dialog', { name: 'Sure?' })
  await fireEvent(box, new Event('cancel', { cancelable: true }))
  expect(close).toHaveBeenCalledTimes(1)
  await fireEvent.click(box)
  expect(close).toHaveBeenCalledTimes(2)
  await fireEvent.click(screen.getByText('x'))
  expect(close).toHaveBeenCalledTimes(2)
  unmount()
  render(Dialog, { title: 'Sign in', children: text('y') })
  const stays = screen.getByRole('dialog')
  stays.removeAttribute('open')
  await fireEvent(stays, new Event('close'))
  expect(stays.hasAttribute('open')).toBe(true) // a browser closed it by force: it is open again
})

test('Confirm: the name must be typed, a refusal is said in words and can be tried again', async () => {
  const run = vi.fn().mockRejectedValueOnce(new Failure(412, 'PRECONDITION', 'the project is not empty', '7c1f')).mockResolvedValue(undefined)
  render(Confirm, { title: 'Delete project hub?', action: 'Delete', name: 'hub', run, close: () => {}, children: text('all goes') })
  const user = userEvent.setup()
  const button = screen.getByRole('button', { name: 'Delete' })
  expect((button as HTMLButtonElement).disabled).toBe(true)
  await user.type(screen.getByRole('textbox'), 'hub{Enter}')
  expect((await screen.findByRole('alert')).textContent).toMatch(/the project is not empty\s*request 7c1f/)
  await user.click(button)
  await waitFor(() => expect(screen.queryByRole('alert')).toBeNull())
  expect(run).toHaveBeenCalledTimes(2)
})

test('Failed: names the missing right, or the status and the request', () => {
  const { unmount } = render(Failed, { error: new Failure(403, 'FORBIDDEN', 'forbidden: this needs the right repository:list', ''), what: 'the repositories' })
  expect(screen.getByRole('alert').textContent).toContain('You may not see the repositories')
  expect(screen.getByText('repository:list').tagName).toBe('B')
  unmount()
  render(Failed, { error: new Failure(500, 'INTERNAL', 'disk on fire', '7c1f-e09a'), what: 'the projects', retry: () => {} })
  expect(screen.getByText('The server answered 500: “disk on fire”.')).toBeTruthy()
  expect(screen.getByText('request 7c1f-e09a')).toBeTruthy()
})

test('Failed: where the server asked to wait, the button counts down and then tries by itself', async () => {
  vi.useFakeTimers()
  const retry = vi.fn()
  render(Failed, { error: new Failure(429, 'TOOMANYREQUESTS', 'slow down', '', Date.now() + 3000), what: 'x', retry })
  const button = screen.getByRole('button', { name: 'Try again' }) as HTMLButtonElement
  expect(button.disabled).toBe(true)
  expect(screen.getByRole('timer').textContent).toBe('in 3 seconds')
  await vi.advanceTimersByTimeAsync(2000)
  expect(screen.getByRole('timer').textContent).toBe('in 1 second')
  expect(retry).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1500)
  expect(retry).toHaveBeenCalledOnce()
  expect(button.disabled).toBe(false)
})

test('Button: what can not be used now is in reach of the keyboard and says why', async () => {
  const run = vi.fn()
  render(Button, { children: text('Delete'), run, why: 'the tag is immutable' })
  const user = userEvent.setup()
  await user.tab()
  const button = screen.getByRole('button', { name: 'Delete', description: 'the tag is immutable' })
  expect(document.activeElement).toBe(button)
  await user.keyboard('{Enter}')
  expect(run).not.toHaveBeenCalled()
  expect(button.getAttribute('aria-disabled')).toBe('true')
})

test('Toasts: are spoken, offer the way back, and go by themselves unless someone is there', async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true })
  const undo = vi.fn()
  render(Toasts)
  const region = screen.getByRole('region', { name: 'Messages' })
  expect(region.getAttribute('aria-live')).toBe('polite')
  toast('latest now points to 73fe', { text: 'Undo', run: undo })
  await tick()
  const button = screen.getByRole('button', { name: 'Undo' })
  await fireEvent.focusIn(button)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(toasts).toHaveLength(1)
  await fireEvent.click(button)
  expect(undo).toHaveBeenCalledOnce()
  expect(toasts).toHaveLength(0)
  await fireEvent.focusOut(region)
  toast('Saved')
  await tick()
  await vi.advanceTimersByTimeAsync(6000)
  expect(toasts).toHaveLength(0)
  for (const n of [1, 2, 3, 4]) toast(String(n))
  expect(toasts.map((x) => x.text)).toEqual(['2', '3', '4'])
  toasts.slice().forEach((x) => dismiss(x.id))
})

test('Copy: puts the whole line on the clipboard and says so', async () => {
  const user = userEvent.setup()
  render(Copy, { faint: 'docker pull ', text: 'cove/hub/x', label: 'Copy the pull command' })
  await user.click(screen.getByRole('button', { name: 'Copy the pull command' }))
  expect(await navigator.clipboard.readText()).toBe('docker pull cove/hub/x')
  expect(screen.getByRole('status').textContent).toBe('Copied')
})

test('Seg and Select: say what is chosen', async () => {
  const choose = vi.fn()
  const options: [string, string][] = [['6h', '6 h'], ['24h', '24 h']]
  render(Seg, { label: 'Range', options, value: '24h', choose })
  expect(screen.getByRole('group', { name: 'Range' })).toBeTruthy()
  expect(screen.getByRole('button', { name: '24 h', pressed: true })).toBeTruthy()
  await fireEvent.click(screen.getByRole('button', { name: '6 h', pressed: false }))
  expect(choose).toHaveBeenCalledWith('6h')
  render(Select, { label: 'Upstream', options, value: '6h', choose })
  const box = screen.getByLabelText('Upstream') as HTMLSelectElement
  await userEvent.selectOptions(box, '24h')
  expect(choose).toHaveBeenLastCalledWith('24h')
})

test('Meter and Spark: have words for who does not see them', () => {
  render(Meter, { value: 62, max: 200, label: 'Quota left', low: true, text: '62 of 200' })
  const meter = screen.getByRole('meter', { name: 'Quota left' })
  expect(meter.getAttribute('aria-valuetext')).toBe('62 of 200')
  expect(meter.classList.contains('w')).toBe(true)
  render(Spark, { values: [0, 3, 1], label: 'Pulls in 3 days' })
  expect(screen.getByRole('img', { name: 'Pulls in 3 days' })).toBeTruthy()
})

test('Words: emphasis and links come from the message, never from what is filled in', () => {
  render(Words, { k: 'client.waiting', p: { project: '<b>x</b>' } })
  expect(screen.getByText('<b>x</b>').tagName).toBe('B')
})
