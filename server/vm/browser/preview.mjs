// Opens a page as a phone would and prints one line of JSON about it.
//   node preview.mjs --url URL --out FILE.png [--width 390 --height 844] [--wait-ms N] [--scheme dark|light]
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const here = dirname(fileURLToPath(import.meta.url))
const LOAD_MS = 30_000 // the very first page of a machine just set up has taken half of that
const SETTLE_MS = 3_000
const TEXT_LIMIT = 2_000
const ERRORS_LIMIT = 20
// Works as any user, without capabilities, GPU or setuid helper: the sandbox around it is the wall.
const FLAGS = [
  '--no-sandbox', '--no-zygote', '--disable-gpu', '--use-gl=disabled', '--disable-dev-shm-usage',
  '--disable-background-networking', '--disable-component-update', '--no-first-run', '--disable-sync',
  '--font-render-hinting=none', '--hide-scrollbars',
]

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    out: { type: 'string' },
    width: { type: 'string', default: '390' },
    height: { type: 'string', default: '844' },
    'wait-ms': { type: 'string', default: '0' },
    scheme: { type: 'string', default: 'light' },
  },
})

const began = performance.now()
const scratch = mkdtempSync(join(tmpdir(), 'preview-'))
let report
try {
  report = await preview()
} catch (error) {
  report = { error: sentence(error) }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
console.log(JSON.stringify({ ...report, ms: Math.round(performance.now() - began) }))
process.exit(report.error ? 1 : 0)

async function preview() {
  if (!options.url) throw new Error('--url is missing')
  const browser = await launch()
  try {
    const page = await browser.newPage({
      viewport: { width: Number(options.width), height: Number(options.height) },
      deviceScaleFactor: 2,
      isMobile: true,
      hasTouch: true,
      colorScheme: options.scheme === 'dark' ? 'dark' : 'light',
    })
    const errors = listen(page)
    const answer = await page.goto(options.url, { waitUntil: 'load', timeout: LOAD_MS })
    await settled(page)
    if (options.out) await page.screenshot({ path: options.out, timeout: LOAD_MS })
    const text = await page.evaluate(() => document.body?.innerText ?? '')
    return {
      status: answer?.status() ?? 0,
      title: await page.title(),
      text: text.slice(0, TEXT_LIMIT),
      console_errors: errors.slice(0, ERRORS_LIMIT),
    }
  } finally {
    await browser.close()
  }
}

async function launch() {
  const own = join(here, 'chromium')
  const start = (env) =>
    chromium.launch({ executablePath: join(own, 'chromium'), args: FLAGS, env: { ...process.env, HOME: scratch, ...env } })
  const fonts = { FONTCONFIG_PATH: existsSync('/etc/fonts/fonts.conf') ? '/etc/fonts' : join(own, 'fonts') }
  try {
    return await start(fonts)
  } catch (error) {
    // A lean machine has no NSS libraries; the package carries them.
    if (!/shared librar/.test(String(error))) throw error
    return await start({ ...fonts, LD_LIBRARY_PATH: join(own, 'al2023/lib') })
  }
}

/** Everything the page complains about, except a browser's own request for an icon nobody promised. */
function listen(page) {
  const errors = []
  page.on('pageerror', (error) => errors.push(`Uncaught ${error.name}: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() !== 'error') return
    const { url } = message.location()
    if (/\/favicon\.ico(\?|$)/.test(url) && /404/.test(message.text())) return
    // The browser's text for a failed request does not say which one.
    errors.push(message.text().startsWith('Failed to load resource') ? `${message.text()}: ${url}` : message.text())
  })
  page.on('requestfailed', (request) => {
    if (request.resourceType() === 'script') errors.push(`Script not loaded: ${request.url()}`)
  })
  return errors
}

/** Loaded, fonts in, something drawn, and the network quiet; a page that never rests is taken as it is. */
async function settled(page) {
  const wait = (promise) => promise.catch(() => {})
  await wait(page.waitForFunction(() => document.body?.innerText.trim().length > 0, null, { timeout: SETTLE_MS, polling: 'raf' }))
  await wait(page.evaluate(() => document.fonts.ready))
  await page.waitForTimeout(Number(options['wait-ms']))
}

function sentence(error) {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0].slice(0, 300)
}
