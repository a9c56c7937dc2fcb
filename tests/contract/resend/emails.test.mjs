// Mail through the unmodified `resend` for Node.
import assert from "node:assert/strict"
import { createServer } from "node:http"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { test } from "node:test"
import { Resend } from "resend"

const resend = new Resend() // its key and its address come from the environment
const live = Boolean(process.env.LIVE)
const mail = { from: "mk0r test <onboarding@resend.dev>", to: "delivered@resend.dev", subject: "Hello", html: "<b>Hi</b>", text: "Hi" }
const unique = () => `mk0r-test-${randomBytes(4).toString("hex")}`

/** The data of an answer that must be one. */
async function done(answer) {
  const { data, error } = await answer
  assert.equal(error, null)
  return data
}

/** [status, name] of an answer that must be a refusal. */
async function refused(answer) {
  const { data, error } = await answer
  assert.equal(data, null)
  return [error.statusCode, error.name]
}

test("a mail is sent, read back and listed, and each answer says how much is left", async () => {
  const { data, error, headers } = await resend.emails.send({ ...mail, replyTo: "a@resend.dev", tags: [{ name: "kind", value: "welcome" }] })
  assert.equal(error, null)
  assert.ok(Number(headers["ratelimit-limit"]) > 0)
  const shown = await done(resend.emails.get(data.id))
  assert.deepEqual([shown.object, shown.to, shown.subject, shown.reply_to], ["email", [mail.to], "Hello", ["a@resend.dev"]])
  assert.deepEqual(shown.tags, [{ name: "kind", value: "welcome" }])
  const list = await done(resend.emails.list({ limit: 1 }))
  assert.equal(list.data[0].id, data.id)
})

test("bytes of every kind arrive as files, inline where they have an id", async () => {
  const attachments = [
    { filename: "a.txt", content: Buffer.from("one") },
    { filename: "b.txt", content: new Uint8Array([116, 119, 111]) },
    { filename: "c.png", content: Buffer.from("three").toString("base64"), contentId: "logo" },
  ]
  const { id } = await done(resend.emails.send({ ...mail, html: '<img src="cid:logo">', attachments }))
  const { data: files } = await done(resend.emails.attachments.list({ emailId: id }))
  const contents = new Map()
  for (const file of files) contents.set(file.filename, await (await fetch(file.download_url)).text())
  assert.deepEqual(Object.fromEntries(contents), { "a.txt": "one", "b.txt": "two", "c.png": "three" })
  const inline = files.find(({ filename }) => filename === "c.png")
  assert.equal((await done(resend.emails.attachments.get({ emailId: id, id: inline.id }))).content_disposition, "inline")
})

test("an idempotency key sends once", async () => {
  const idempotencyKey = unique()
  const [first, second] = [await done(resend.emails.send(mail, { idempotencyKey })), await done(resend.emails.send(mail, { idempotencyKey }))]
  assert.equal(first.id, second.id)
  assert.deepEqual(await refused(resend.emails.send({ ...mail, subject: "Other" }, { idempotencyKey })), [409, "invalid_idempotent_request"])
})

test("a batch is all or nothing unless it may be in part", async () => {
  assert.equal((await done(resend.batch.send([mail, mail]))).data.length, 2)
  const mixed = [mail, { ...mail, to: "nobody" }]
  assert.deepEqual(await refused(resend.batch.send(mixed)), [422, "validation_error"])
  const { data, errors } = await done(resend.batch.send(mixed, { batchValidation: "permissive" }))
  assert.deepEqual([data.length, errors[0].index], [1, 1])
})

test("a scheduled mail is moved and called back", async () => {
  const { id } = await done(resend.emails.send({ ...mail, scheduledAt: new Date(Date.now() + 3_600_000).toISOString() }))
  assert.equal((await done(resend.emails.update({ id, scheduledAt: "in 2 hours" }))).id, id)
  assert.equal((await done(resend.emails.cancel(id))).object, "email")
  assert.equal((await done(resend.emails.get(id))).last_event, "canceled")
})

test("errors are told, not thrown", async () => {
  assert.deepEqual(await refused(resend.emails.send({ ...mail, to: undefined })), [422, "missing_required_field"])
  assert.deepEqual(await refused(resend.emails.send({ ...mail, to: "ann@example.com" })), [422, "validation_error"])
  assert.deepEqual(await refused(resend.emails.send({ ...mail, from: "nobody" })), [422, "invalid_from_address"])
  assert.deepEqual(await refused(resend.emails.send({ ...mail, from: "a@not-ours.example" })), [403, "validation_error"])
  assert.deepEqual(await refused(resend.emails.get("00000000-0000-4000-8000-00000000dead")), [404, "not_found"])
  assert.deepEqual(await refused(new Resend("re_wrong").emails.send(mail)), [403, "invalid_api_key"])
})

test("a template is made and published in one breath, and sent by its alias", async () => {
  const alias = unique()
  const variables = [{ key: "NAME", type: "string", fallbackValue: "friend" }]
  const { id } = await done(
    resend.templates.create({ name: alias, alias, from: mail.from, subject: "Hi {{{NAME}}}", html: "<p>{{{NAME}}}</p>", text: "{{{NAME}}}", variables }).publish(),
  )
  const sent = await done(resend.emails.send({ to: mail.to, template: { id: alias, variables: { NAME: "Ann" } } }))
  assert.equal((await done(resend.emails.get(sent.id))).subject, "Hi Ann")
  await done(resend.templates.update(id, { name: unique() }))
  assert.equal((await done(resend.templates.get(alias))).has_unpublished_versions, true)
  const copy = await done(resend.templates.duplicate(id))
  assert.ok((await done(resend.templates.list({ limit: 10 }))).data.some((each) => each.id === copy.id))
  for (const each of [id, copy.id]) assert.equal((await done(resend.templates.remove(each))).deleted, true)
})

test("a mail that came in is forwarded as it was", { skip: live && "somebody would have to write to the live account" }, async () => {
  const domain = (await done(resend.domains.list())).data.find(({ name }) => name === "mk0r.localhost")
  await done(resend.domains.update({ id: domain.id, capabilities: { receiving: "enabled" } }))
  const subject = unique()
  const attachments = [{ filename: "a.txt", content: Buffer.from("one") }]
  await done(resend.emails.send({ ...mail, from: "App <app@mk0r.localhost>", to: "help@mk0r.localhost", subject, attachments }))
  const { data } = await done(resend.emails.receiving.list({ limit: 1 }))
  assert.equal(data[0].subject, subject)
  const read = await done(resend.emails.receiving.get(data[0].id, { html_format: "cid" }))
  assert.equal(read.html.trim(), "<b>Hi</b>")
  for (const passthrough of [true, false]) {
    const text = passthrough ? {} : { text: "See below." }
    const { id } = await done(resend.emails.receiving.forward({ emailId: read.id, from: mail.from, to: mail.to, passthrough, ...text }))
    const files = (await done(resend.emails.attachments.list({ emailId: id }))).data.map(({ filename }) => filename)
    assert.deepEqual(files, [passthrough ? "a.txt" : "forwarded_message.eml"])
  }
})

test("a webhook hears of a mail and the signature holds", { skip: live && "a live service cannot reach this machine" }, async (t) => {
  const server = createServer()
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => server.close())
  const endpoint = `http://localhost:${server.address().port}/hook`
  const hook = await done(resend.webhooks.create({ endpoint, events: ["email.delivered"] }))
  const heard = once(server, "request", { signal: AbortSignal.timeout(20_000) })
  const { id } = await done(resend.emails.send(mail))
  const [request, response] = await heard
  let payload = ""
  for await (const chunk of request) payload += chunk
  response.end()
  const headers = { id: request.headers["svix-id"], timestamp: request.headers["svix-timestamp"], signature: request.headers["svix-signature"] }
  const event = resend.webhooks.verify({ payload, headers, webhookSecret: hook.signing_secret })
  assert.deepEqual([event.type, event.data.email_id], ["email.delivered", id])
  assert.throws(() => resend.webhooks.verify({ payload: `${payload} `, headers, webhookSecret: hook.signing_secret }))
  assert.equal((await done(resend.webhooks.events.list({ webhookId: hook.id }))).data.length, 1)
  await done(resend.webhooks.update(hook.id, { status: "disabled" }))
  assert.equal((await done(resend.webhooks.get(hook.id))).status, "disabled")
  assert.equal((await done(resend.webhooks.remove(hook.id))).deleted, true)
})
