// Run once while the image is prepared: inside a sandbox unpacking is slow and may not be allowed.
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
process.env.TMPDIR = join(here, 'chromium') // the package unpacks into the temporary folder
mkdirSync(process.env.TMPDIR)
const { inflate } = await import('@sparticuz/chromium')

const packed = join(here, 'node_modules/@sparticuz/chromium/bin')
const parts = ['chromium.br', 'fonts.tar.br', 'al2023.tar.br']
await Promise.all(parts.map((part) => inflate(join(packed, part))))
rmSync(packed, { recursive: true })
