// The Messages API through the unmodified JavaScript SDK.
import assert from "node:assert/strict"
import { test } from "node:test"
import Anthropic from "@anthropic-ai/sdk"

const { ANTHROPIC_BASE_URL: baseURL, ANTHROPIC_API_KEY: apiKey, MODEL: model, IDEA: idea } = process.env
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 })
const hello = [{ role: "user", content: "Say hello in three words." }]
const tools = ["get_env", "read_file", "run_in_vm", "write_files"].map((name) => ({
  name,
  description: "Part of a workshop.",
  input_schema: { type: "object", properties: { path: { type: "string" } } },
}))
const words = (message) => message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("")
const calls = (message) => message.content.filter(({ type }) => type === "tool_use")

test("a message comes whole, with its request's id", async () => {
  const { data, response, request_id: id } = await client.messages.create({ model, max_tokens: 64, messages: hello }).withResponse()
  assert.equal(data.type, "message")
  assert.ok(words(data))
  assert.ok(data.usage.output_tokens > 0)
  assert.match(id, /^req_/)
  assert.ok(Number(response.headers.get("anthropic-ratelimit-requests-limit")) > 0)
})

test("a stream adds up to its final message", async () => {
  const stream = client.messages.stream({ model, max_tokens: 64, messages: hello })
  const heard = []
  stream.on("text", (piece) => heard.push(piece))
  const kinds = new Set()
  stream.on("streamEvent", ({ type }) => kinds.add(type))
  const message = await stream.finalMessage()
  assert.equal(heard.join(""), words(message))
  for (const kind of ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"])
    assert.ok(kinds.has(kind), kind)
})

test("a raw stream can be left in the middle", async () => {
  const stream = await client.messages.create({ model, max_tokens: 64, messages: hello, stream: true })
  for await (const event of stream) if (event.type === "content_block_delta") break
  assert.ok(stream.controller.signal.aborted)
})

test("parallel calls, their answers, and the next turn", { skip: !idea && "a model decides for itself" }, async () => {
  const messages = [{ role: "user", content: idea }]
  const first = await client.messages.stream({ model, max_tokens: 4096, messages, tools }).finalMessage()
  assert.equal(first.stop_reason, "tool_use")
  assert.ok(calls(first).length > 1)
  messages.push({ role: "assistant", content: first.content })
  messages.push({ role: "user", content: calls(first).map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "{}" })) })
  const second = await client.messages.stream({ model, max_tokens: 60000, messages, tools }).finalMessage()
  assert.ok(calls(second)[0].input.files.length > 3)
})

test("tokens are counted, models are listed and found", async () => {
  const { input_tokens: few } = await client.messages.countTokens({ model, messages: hello })
  assert.ok(few > 0 && few < 60)
  const ids = []
  for await (const { id } of client.models.list({ limit: 1 })) ids.push(id)
  assert.ok(ids.includes(model))
  assert.equal((await client.models.retrieve(model)).type, "model")
})

test("refusals carry their type, sentence and id", async () => {
  const stranger = new Anthropic({ baseURL, apiKey: "wrong", maxRetries: 0 })
  const bad = [
    [() => client.models.retrieve("no-such-model"), Anthropic.NotFoundError, "not_found_error"],
    [() => client.messages.create({ model, max_tokens: -1, messages: hello }), Anthropic.BadRequestError, "invalid_request_error"],
    [() => stranger.models.list(), Anthropic.AuthenticationError, "authentication_error"],
  ]
  for (const [ask, kind, type] of bad)
    await assert.rejects(async () => await ask(), (problem) => {
      assert.ok(problem instanceof kind, String(problem))
      assert.equal(problem.type, type)
      assert.match(problem.requestID, /^req_/)
      return true
    })
})
