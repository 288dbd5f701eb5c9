import './app.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { choose } from './lib/i18n'

await choose()
mount(App, { target: document.body })
