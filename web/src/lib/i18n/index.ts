export { choose, intl, language, languages, list, number, parts, t, type Key, type Params } from './i18n.svelte'
