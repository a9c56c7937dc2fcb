// People and the account through the unmodified `resend` for Node.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { test } from "node:test"
import { Resend } from "resend"

const resend = new Resend() // its key and its address come from the environment
const live = Boolean(process.env.LIVE)
const from = "mk0r test <onboarding@resend.dev>"
const unique = () => `mk0r-test-${randomBytes(4).toString("hex")}`

async function done(answer) {
  const { data, error } = await answer
  assert.equal(error, null)
  return data
}

async function refused(answer) {
  const { data, error } = await answer
  assert.equal(data, null)
  return [error.statusCode, error.name]
}

async function segment(t) {
  const { id } = await done(resend.segments.create({ name: unique() }))
  t.after(() => resend.segments.remove(id))
  return id
}

test("an audience is a segment, and an app adds its users as it did a year ago", async (t) => {
  const audienceId = await segment(t)
  const email = `${unique()}@resend.dev`
  const { id } = await done(resend.contacts.create({ audienceId, email, firstName: "Ann" }))
  t.after(() => resend.contacts.remove(id))
  const contact = await done(resend.contacts.get({ audienceId, email }))
  assert.deepEqual([contact.id, contact.first_name, contact.unsubscribed], [id, "Ann", false])
  assert.deepEqual((await done(resend.contacts.list({ audienceId }))).data.map((each) => each.email), [email])
  await done(resend.contacts.update({ audienceId, id, unsubscribed: true }))
  assert.equal((await done(resend.contacts.get(id))).unsubscribed, true)
  assert.equal((await done(resend.contacts.remove({ audienceId, email }))).contact, id)
})

test("a contact is in segments, wants topics, and has properties", async (t) => {
  const [first, second] = [await segment(t), await segment(t)]
  const topic = (await done(resend.topics.create({ name: unique(), defaultSubscription: "opt_in" }))).id
  t.after(() => resend.topics.remove(topic))
  const key = unique().replaceAll("-", "_")
  const property = (await done(resend.contactProperties.create({ key, type: "string", fallbackValue: "free" }))).id
  t.after(() => resend.contactProperties.remove(property))
  const email = `${unique()}@resend.dev`
  const segments = [{ id: first }]
  const topics = [{ id: topic, subscription: "opt_out" }]
  const { id } = await done(resend.contacts.create({ email, segments, topics, properties: { [key]: "pro" } }))
  t.after(() => resend.contacts.remove(id))

  await done(resend.contacts.segments.add({ email, segmentId: second }))
  assert.equal((await done(resend.contacts.segments.list({ contactId: id }))).data.length, 2)
  await done(resend.contacts.segments.remove({ contactId: id, segmentId: second }))
  const said = (await done(resend.contacts.topics.list({ email }))).data.find((each) => each.id === topic)
  assert.equal(said.subscription, "opt_out")
  await done(resend.contacts.topics.update({ id, topics: [{ id: topic, subscription: "opt_in" }] }))
  assert.deepEqual((await done(resend.contacts.get({ email }))).properties[key], { type: "string", value: "pro" })

  await done(resend.contactProperties.update({ id: property, fallbackValue: "none" }))
  assert.equal((await done(resend.contactProperties.get(property))).fallbackValue, "none")
  assert.ok((await done(resend.contactProperties.list())).data.some((each) => each.key === key))
  await done(resend.topics.update({ id: topic, description: "Weekly" }))
  assert.equal((await done(resend.topics.get(topic))).description, "Weekly")
  assert.ok((await done(resend.topics.list())).data.some((each) => each.id === topic))
  const name = unique()
  await done(resend.segments.update(first, { name }))
  assert.equal((await done(resend.segments.get(first))).name, name)
})

test("lists are walked from page to page", async (t) => {
  for (let made = 0; made < 3; made++) await segment(t)
  const { data: page, has_more: more } = await done(resend.segments.list({ limit: 2 }))
  assert.deepEqual([page.length, more], [2, true])
  const next = await done(resend.segments.list({ limit: 1, after: page[1].id }))
  const back = await done(resend.segments.list({ limit: 1, before: next.data[0].id }))
  assert.equal(back.data[0].id, page[1].id)
  assert.deepEqual(await refused(resend.segments.list({ limit: 101 })), [422, "validation_error"])
})

test("a file of contacts is taken in", async (t) => {
  const id = await segment(t)
  const email = `${unique()}@resend.dev`
  const file = new Blob([`Email,First\n${email},Ann\n`], { type: "text/csv" })
  const columnMap = { email: "Email", firstName: "First" }
  const made = await done(resend.contacts.imports.create({ file, columnMap, segments: [{ id }] }))
  const until = AbortSignal.timeout(60_000)
  let told = await done(resend.contacts.imports.get(made.id))
  while (told.status !== "completed" && !until.aborted) told = await done(resend.contacts.imports.get(made.id))
  assert.deepEqual([told.status, told.counts.created], ["completed", 1])
  assert.equal((await done(resend.contacts.get({ email }))).first_name, "Ann")
  await done(resend.contacts.remove({ email }))
})

test("a broadcast is drafted, changed, and reaches its segment", async (t) => {
  const segmentId = await segment(t)
  const { id } = await done(resend.broadcasts.create({ segmentId, from, name: unique(), subject: "News", html: "<p>Hi</p>", text: "Hi" }))
  await done(resend.broadcasts.update(id, { subject: "Newer", previewText: "Short" }))
  assert.deepEqual([(await done(resend.broadcasts.get(id))).status, (await done(resend.broadcasts.get(id))).subject], ["draft", "Newer"])
  const copy = await done(resend.broadcasts.duplicate(id))
  assert.equal((await done(resend.broadcasts.remove(copy.id))).deleted, true)
  if (live) return void (await done(resend.broadcasts.remove(id)))
  const email = `delivered+${unique()}@resend.dev`
  const contact = await done(resend.contacts.create({ email, segments: [{ id: segmentId }] }))
  t.after(() => resend.contacts.remove(contact.id))
  await done(resend.broadcasts.send(id))
  const until = AbortSignal.timeout(20_000)
  while ((await done(resend.broadcasts.get(id))).status !== "sent" && !until.aborted);
  const reached = await done(resend.broadcasts.recipients(id, { type: "delivered" }))
  assert.deepEqual(reached.data.map((each) => each.email), [email])
  assert.deepEqual((await done(resend.broadcasts.clickedLinks(id))).data, [])
  const later = await done(resend.broadcasts.create({ segmentId, from, subject: "Later", text: "Hi", send: true, scheduledAt: "in 1 day" }))
  assert.equal((await done(resend.broadcasts.cancel(later.id))).object, "broadcast")
  await done(resend.broadcasts.remove(later.id))
})

test("a sending key sends and nothing else", async (t) => {
  const { id, token } = await done(resend.apiKeys.create({ name: unique(), permission: "sending_access" }))
  t.after(() => resend.apiKeys.remove(id))
  const restricted = new Resend(token)
  await done(restricted.emails.send({ from, to: "delivered@resend.dev", subject: "Hi", text: "Hi" }))
  assert.equal((await done(restricted.usage.get())).object, "usage")
  assert.deepEqual(await refused(restricted.contacts.list()), [401, "restricted_api_key"])
  const name = unique()
  await done(resend.apiKeys.update(id, { name }))
  assert.ok((await done(resend.apiKeys.list())).data.some((each) => each.name === name))
})

test("domains, suppressions and the log are there", async () => {
  const domain = await done(resend.domains.create({ name: `${unique()}.test`, customReturnPath: "bounce", trackingSubdomain: "links" }))
  assert.deepEqual([domain.status, domain.tracking_subdomain], ["not_started", "links"])
  assert.equal((await done(resend.domains.verify(domain.id))).object, "domain")
  assert.ok(["pending", "verified"].includes((await done(resend.domains.get(domain.id))).status))
  assert.equal((await done(resend.domains.remove(domain.id))).deleted, true)
  const email = `${unique()}@resend.dev`
  await done(resend.suppressions.add({ email }))
  assert.equal((await done(resend.suppressions.get(email))).origin, "manual")
  assert.equal((await done(resend.suppressions.remove(email))).deleted, true)
  const [latest] = (await done(resend.logs.list({ limit: 1 }))).data
  assert.equal((await done(resend.logs.get(latest.id))).object, "log")
})
