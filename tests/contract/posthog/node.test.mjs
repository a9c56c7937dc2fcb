// posthog-node against whatever POSTHOG_HOST is. What was captured is read back by whoever runs this.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PostHog } from 'posthog-node'

const { POSTHOG_HOST: host, POSTHOG_KEY: key, POSTHOG_PERSONAL_API_KEY: personalApiKey, APP, LAYOUT, PRO } = process.env
const groups = { app: APP }
const user = `${APP}-node-user`

function client(options = {}) {
  const made = new PostHog(key, { host, flushAt: 20, flushInterval: 60_000, fetchRetryCount: 0, ...options })
  const failed = []
  made.on('error', (error) => failed.push(error))
  return { posthog: made, failed }
}

test('captures are delivered by flush, in batches and compressed', async () => {
  const { posthog, failed } = client()
  for (let number = 0; number < 3; number++) posthog.capture({ distinctId: user, event: 'saved', groups, properties: { number } })
  await posthog.flush()
  await posthog.captureImmediate({ distinctId: user, event: 'immediate', groups })
  await posthog.shutdown()
  assert.deepEqual(failed, [])
})

test('the newer capture is answered event by event', async () => {
  process.env.POSTHOG_CAPTURE_MODE = 'v1'
  const { posthog, failed } = client()
  delete process.env.POSTHOG_CAPTURE_MODE
  posthog.capture({ distinctId: user, event: 'v1', groups })
  await posthog.shutdown()
  assert.deepEqual(failed, [])
})

test('a person is identified, has an alias, and a group is described', async () => {
  const { posthog, failed } = client()
  posthog.identify({ distinctId: user, properties: { plan: 'pro' } })
  posthog.alias({ distinctId: user, alias: `${APP}-node-alias` })
  posthog.groupIdentify({ groupType: 'app', groupKey: APP, properties: { name: 'My app' } })
  posthog.capture({ distinctId: `${APP}-node-alias`, event: 'identified', groups })
  await posthog.shutdown()
  assert.deepEqual(failed, [])
})

test('an exception is captured with its stack', async () => {
  const { posthog, failed } = client()
  await posthog.captureExceptionImmediate(new Error('it went wrong'), user, { $groups: groups })
  await posthog.shutdown()
  assert.deepEqual(failed, [])
})

test('flags are asked of the server, with payloads', async () => {
  const { posthog } = client()
  const flags = await posthog.evaluateFlags(user, { personProperties: { plan: 'pro' }, groups })
  assert.equal(flags.getFlag(LAYOUT), 'wide')
  assert.deepEqual(flags.getFlagPayload(LAYOUT), { columns: 3 })
  assert.equal(flags.isEnabled(PRO), true)
  const free = await posthog.evaluateFlags(user, { personProperties: { plan: 'free' } })
  assert.equal(free.isEnabled(PRO), false)
  await posthog.shutdown()
})

test('flags are decided here as the server decides them', async () => {
  const { posthog, failed } = client({ personalApiKey })
  await posthog.reloadFeatureFlags()
  assert.ok(posthog.isLocalEvaluationReady())
  const mine = await posthog.evaluateFlags(user, { personProperties: { plan: 'pro' }, onlyEvaluateLocally: true })
  assert.equal(mine.isEnabled(PRO), true)
  assert.equal(mine.getFlag(LAYOUT), 'wide')
  await posthog.shutdown()
  assert.deepEqual(failed, [])
})

test('a wrong personal key is told so', async () => {
  const { posthog, failed } = client({ personalApiKey: 'phx_nobodys' })
  await posthog.reloadFeatureFlags()
  await posthog.shutdown()
  assert.match(String(failed[0]?.message), /key is invalid/)
})

test('a key of the wrong kind is refused, and the client hears of it', async () => {
  const posthog = new PostHog('phx_personal', { host, flushInterval: 60_000, fetchRetryCount: 0 })
  posthog.capture({ distinctId: user, event: 'lost' })
  await assert.rejects(posthog.flush(), /status=401/)
  await posthog.shutdown()
})
