// Runs the dev server with what .env says, and again whenever .env says something else.
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'

const root = dirname(fileURLToPath(import.meta.url))
const envFile = join(root, '.env')
const vite = join(root, 'node_modules/vite/bin/vite.js')
const port = process.env.PORT || '5173'
const POLL_MS = 100 // one small file read a tick: works on every file system, sees a rename, costs nothing
const KILL_AFTER_MS = 1500
const CRASH_PAUSE_MS = 1000
// The channel to this process closes however it ends, even by SIGKILL.
const END_WITH_PARENT = 'data:text/javascript,process.on("disconnect",()=>process.exit())'

const log = openLog()
let child
let restarting = false
let stopping = false
let unreadable = '' // why, so that it is said once
let env = readEnv()

start('started')
// Compares what the file says with what the child was given. A watcher compares with its own first look at
// the file, and misses what was written between our reading and that.
setInterval(() => {
  const next = readEnv()
  const names = changed(env, next)
  if (names.length === 0) return
  env = next
  restart(`.env changed (${names.join(', ')})`)
}, POLL_MS)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop())

function readEnv() {
  try {
    const read = parseEnv(readFileSync(envFile, 'utf8'))
    unreadable = ''
    return read
  } catch (error) {
    const why = error.code ?? error.name
    if (why !== 'ENOENT' && why !== unreadable) say(`.env cannot be read: ${why}`)
    unreadable = why
    return {}
  }
}

/** Names only: a value never reaches the log. */
function changed(before, after) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].filter((name) => before[name] !== after[name]).sort()
}

function start(why) {
  const args = ['--host', '127.0.0.1', '--port', port, '--strictPort', '--clearScreen', 'false']
  const started = spawn(process.execPath, ['--import', END_WITH_PARENT, vite, ...args], {
    cwd: root,
    env: { ...process.env, ...env, PORT: port },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  child = started
  for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk) => log.write(chunk))
  started.on('exit', (code) => {
    clearTimeout(started.killer)
    if (stopping) process.exit(0)
    if (restarting) {
      restarting = false
      return start('restarted')
    }
    say(`dev server ended (${code}); starting it again`)
    setTimeout(() => started === child && !stopping && start('restarted'), CRASH_PAUSE_MS)
  })
  say(`${why} on 127.0.0.1:${port} (names from .env: ${Object.keys(env).length})`)
}

function restart(why) {
  say(why)
  if (restarting) return
  if (child.exitCode !== null || child.signalCode !== null) return start('restarted')
  restarting = true
  end(child)
}

function stop() {
  if (stopping) process.exit(1)
  stopping = true
  if (child.exitCode !== null || child.signalCode !== null) process.exit(0)
  end(child)
}

function end(victim) {
  victim.kill('SIGTERM')
  victim.killer = setTimeout(() => victim.kill('SIGKILL'), KILL_AFTER_MS)
}

function openLog() {
  const folder = join(root, 'node_modules/.cache')
  mkdirSync(folder, { recursive: true })
  return createWriteStream(join(folder, 'dev.log'))
}

function say(line) {
  console.log(`[dev] ${line}`)
  log.write(`[dev] ${line}\n`)
}
