// node chromium.mjs: one chromium for the stories of a module, each in a context of its own. Prints its
// address and runs until its input ends.
import { createRequire } from 'node:module'

const { chromium } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core')
const server = await chromium.launchServer({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'], host: '127.0.0.1' })
console.log(server.wsEndpoint())
process.stdin.on('end', () => server.close()).resume()
