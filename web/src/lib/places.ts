// Where one can go: the menu, the bar on a phone, the palette and the g-keys all read this table. A place
// is shown to whom the server would let in.
import { harbor } from './api'
import type { Key } from './i18n'
import type { IconName } from './icons'
import { session } from './session.svelte'

export interface Place {
  href: string
  icon: IconName
  word: Key
  short?: Key // on the phone's bar
  go?: string // the key after g
  goes?: Key // what the sheet of keys says of it
  admin?: boolean // stands under Administration
  do?: boolean // an action: in the palette alone
  may?: string // the right that it takes, resource:action
  count?: string // a list whose total the menu shows
}

export const places: Place[] = [
  { href: '/', icon: 'gauge', word: 'shell.cache', go: 'c', goes: 'key.cache' },
  { href: '/projects', icon: 'box', word: 'common.projects', go: 'p', goes: 'key.projects', count: `${harbor}/projects` },
  { href: '/upstreams', icon: 'globe', word: 'shell.upstreams', go: 'u', goes: 'key.upstreams', may: 'registry:list', count: `${harbor}/registries` },
  { href: '/connect', icon: 'plug', word: 'shell.connect', short: 'shell.connect_short' },
  { href: '/storage', icon: 'disks', word: 'storage.title', go: 's', goes: 'key.storage', admin: true, may: 'system-volumes:read' },
  { href: '/jobs', icon: 'tasks', word: 'job.title', go: 'j', goes: 'key.jobs', admin: true, may: 'jobservice-monitor:list' },
  { href: '/settings', icon: 'gear', word: 'settings.title', admin: true, may: 'configuration:read' },
  { href: '/profile', icon: 'person', word: 'user.profile', do: true },
  { href: '/new', icon: 'plus', word: 'common.new_proxy', do: true, may: 'registry:create' },
]

export const myPlaces = () => places.filter((p) => !p.may || session.system.has(p.may))
