// E2B as its unmodified JavaScript SDK meets it: the twin, or by the environment the vendor.
import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import {
  AuthenticationError,
  CommandExitError,
  FileNotFoundError,
  FilesystemEventType,
  InvalidArgumentError,
  Sandbox,
  SandboxNotFoundError,
  Template,
  TimeoutError,
} from 'e2b'

const unique = (what) => `mk0r-${what}-${Math.random().toString(36).slice(2, 10)}`

async function eventually(check, seconds = 20) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const answer = await check()
    if (answer) return answer
    assert.ok(Date.now() < end, 'it never came true')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

let sandbox
before(async () => {
  sandbox = await Sandbox.create({ timeoutMs: 300_000, metadata: { of: 'js' }, envs: { OF: 'the sandbox' } })
})
after(() => sandbox.kill())

test('a command gives its output and its exit code', async () => {
  const done = await sandbox.commands.run('echo $OF; echo problem >&2')
  assert.deepEqual([done.stdout, done.stderr, done.exitCode], ['the sandbox\n', 'problem\n', 0])
  await assert.rejects(sandbox.commands.run('exit 5'), (error) => error instanceof CommandExitError && error.exitCode === 5)
  await assert.rejects(sandbox.commands.run('true', { cwd: '/nowhere' }), InvalidArgumentError)
  await assert.rejects(sandbox.commands.run('sleep 900', { timeoutMs: 300 }), TimeoutError)
})

test('a command in the background is fed, found and killed', async () => {
  const heard = []
  const cat = await sandbox.commands.run('cat', { background: true, stdin: true, onStdout: (data) => heard.push(data) })
  await sandbox.commands.sendStdin(cat.pid, 'fed')
  await eventually(() => heard.join('') === 'fed')
  assert.ok((await sandbox.commands.list()).some((each) => each.pid === cat.pid))
  assert.equal(await cat.kill(), true)
  await assert.rejects(cat.wait(), CommandExitError)
  assert.equal(await sandbox.commands.kill(cat.pid), false)
})

test('a terminal has a size and answers', async () => {
  let heard = ''
  const decoder = new TextDecoder()
  const terminal = await sandbox.pty.create({ cols: 77, rows: 22, onData: (data) => (heard += decoder.decode(data)) })
  await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('stty size\n'))
  await eventually(() => heard.includes('22 77'))
  await sandbox.pty.resize(terminal.pid, { cols: 90, rows: 30 })
  await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('stty size\n'))
  await eventually(() => heard.includes('30 90'))
  assert.equal(await sandbox.pty.kill(terminal.pid), true)
})

test('files are written, read, listed and removed', async () => {
  await sandbox.files.write([
    { path: '/tmp/js/a.txt', data: 'a' },
    { path: '/tmp/js/b.bin', data: new Uint8Array([0, 255]).buffer },
  ])
  assert.equal(await sandbox.files.read('/tmp/js/a.txt'), 'a')
  assert.deepEqual([...(await sandbox.files.read('/tmp/js/b.bin', { format: 'bytes' }))], [0, 255])
  assert.deepEqual((await sandbox.files.list('/tmp/js')).map((each) => each.name), ['a.txt', 'b.bin'])
  await sandbox.files.write('/tmp/js/z.txt', 'packed '.repeat(1000), { gzip: true, metadata: { from: 'js' } })
  assert.equal((await sandbox.files.read('/tmp/js/z.txt', { gzip: true })).length, 7000)
  assert.deepEqual((await sandbox.files.getInfo('/tmp/js/z.txt')).metadata, { from: 'js' })
  await sandbox.files.remove('/tmp/js/a.txt')
  assert.equal(await sandbox.files.exists('/tmp/js/a.txt'), false)
  await assert.rejects(sandbox.files.read('/tmp/js/a.txt'), FileNotFoundError)
})

test('a watched folder tells what happens in it', async () => {
  await sandbox.files.makeDir('/tmp/watched')
  const heard = []
  const watch = await sandbox.files.watchDir('/tmp/watched', (event) => heard.push(event), { recursive: true })
  // A folder is watched a moment after it came to be, so what is written with it may not be told.
  await eventually(async () => {
    await sandbox.files.write('/tmp/watched/deep/new.txt', 'new')
    return heard.some((each) => each.name === 'deep/new.txt')
  })
  assert.ok(heard.some((each) => each.name === 'deep' && each.type === FilesystemEventType.CREATE))
  await watch.stop()
})

test('a signed address opens a file', async () => {
  await sandbox.files.write('/tmp/signed.txt', 'signed')
  const url = await sandbox.downloadUrl('/tmp/signed.txt', { useSignatureExpiration: 60_000 })
  assert.equal(await (await fetch(url)).text(), 'signed')
})

test('a sandbox is found, paused, brought back and forgotten', async () => {
  const name = unique('js')
  const other = await Sandbox.create({ timeoutMs: 60_000, metadata: { name }, lifecycle: { onTimeout: 'pause' } })
  const listed = await Sandbox.list({ query: { metadata: { name } } }).nextItems()
  assert.deepEqual(listed.map((each) => each.sandboxId), [other.sandboxId])
  await other.setTimeout(120_000)
  assert.equal(await other.pause(), true)
  assert.equal((await other.getInfo()).state, 'paused')
  const again = await Sandbox.connect(other.sandboxId)
  assert.equal(await again.isRunning(), true)
  await again.updateNetwork({ denyOut: ['0.0.0.0/0'] })
  assert.deepEqual((await again.getInfo()).network.denyOut, ['0.0.0.0/0'])
  assert.equal(await again.kill(), true)
  await assert.rejects(Sandbox.connect(other.sandboxId), SandboxNotFoundError)
})

test('a snapshot begins another sandbox', async () => {
  await sandbox.files.write('/tmp/note.txt', 'kept')
  const { snapshotId } = await sandbox.createSnapshot()
  const copy = await Sandbox.create(snapshotId, { timeoutMs: 60_000 })
  assert.equal(await copy.files.read('/tmp/note.txt'), 'kept')
  await copy.kill()
  assert.equal(await Sandbox.deleteSnapshot(snapshotId), true)
})

test('a template is built', async () => {
  const context = await mkdtemp(path.join(tmpdir(), 'mk0r-js-'))
  await writeFile(path.join(context, 'note.txt'), 'from the build')
  const name = unique('template')
  const template = Template({ fileContextPath: context })
    .fromTemplate('base')
    .copy('note.txt', '/root/note.txt')
    .runCmd('echo done >> /root/note.txt')
  const built = await Template.build(template, name)
  assert.equal(await Template.exists(name), true)
  const made = await Sandbox.create(name, { timeoutMs: 60_000 })
  assert.equal(await made.files.read('/root/note.txt'), 'from the builddone\n')
  await made.kill()
  assert.equal(await Sandbox.deleteSnapshot(built.templateId), true)
})

test('a wrong key is refused', async () => {
  await assert.rejects(Sandbox.create({ apiKey: 'e2b_' + 'f'.repeat(40) }), AuthenticationError)
})
