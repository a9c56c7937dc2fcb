// Drives headless Chromium for the tests, one line of JSON in and one out:
//   node driver.mjs '{"browser": FOLDER, "patience": MS}'
//   {"open": {viewport...}}                             -> {"value": PAGE NUMBER}
//   {"page": 0, "do": [["getByLabel", "Idea"], ["fill", "text"]]}  a chain of Playwright's own calls
//   {"page": 0, "seen": true}                           -> every URL asked for, every complaint, every navigation
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const { browser: folder, patience } = JSON.parse(process.argv[2])
const { chromium } = createRequire(join(folder, 'preview.mjs'))('playwright-core')
const FLAGS = [
  '--no-sandbox', '--no-zygote', '--disable-gpu', '--use-gl=disabled', '--disable-dev-shm-usage',
  '--disable-background-networking', '--disable-component-update', '--no-first-run', '--disable-sync',
  '--font-render-hinting=none', '--hide-scrollbars',
]

const scratch = mkdtempSync(join(tmpdir(), 'driver-'))
const chrome = await launch()
const pages = []

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = { value: await obey(JSON.parse(line)) }
  } catch (error) {
    answer = { error: String(error?.message ?? error) }
  }
  console.log(JSON.stringify(answer))
}
await chrome.close()
rmSync(scratch, { recursive: true, force: true })

async function obey(order) {
  if (order.open) return await open(order.open)
  const { page, seen } = pages[order.page]
  if (order.seen) return seen
  let on = page
  for (const [method, ...args] of order.do) on = await on[method](...args)
  // What JSON cannot carry (a locator, a response) is not an answer.
  return ['string', 'number', 'boolean'].includes(typeof on) || Array.isArray(on) ? on : null
}

async function open(options) {
  const context = await chrome.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  const seen = { urls: [], complaints: [], navigations: [] }
  page.on('request', (request) => seen.urls.push(request.url()))
  page.on('pageerror', (error) => seen.complaints.push(String(error)))
  page.on('framenavigated', (frame) => seen.navigations.push(frame.url()))
  page.on('console', (message) => {
    if (message.type() === 'error') seen.complaints.push(`${message.text()} (${message.location().url})`)
  })
  return pages.push({ page, seen }) - 1
}

async function launch() {
  const own = join(folder, 'chromium')
  const fonts = { FONTCONFIG_PATH: existsSync('/etc/fonts/fonts.conf') ? '/etc/fonts' : join(own, 'fonts') }
  const start = (env) =>
    chromium.launch({ executablePath: join(own, 'chromium'), args: FLAGS, timeout: patience, env: { ...process.env, HOME: scratch, ...env } })
  try {
    return await start(fonts)
  } catch (error) {
    // A lean machine has no NSS libraries; the package carries them.
    if (!/shared librar/.test(String(error))) throw error
    return await start({ ...fonts, LD_LIBRARY_PATH: join(own, 'al2023/lib') })
  }
}
