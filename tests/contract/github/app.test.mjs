// A GitHub App through the unmodified @octokit/app, with octokit's throttling and retries, against a twin.
import assert from "node:assert/strict"
import { after, before, beforeEach, mock, test } from "node:test"
import { randomBytes } from "node:crypto"
import { App, Octokit } from "octokit"

const { GITHUB_API_URL: baseUrl, GITHUB_TWIN_URL: direct, GITHUB_TOKEN: auth, GITHUB_TWIN_ADMIN: admin } = process.env
const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const never = { enabled: false }
const plain = { baseUrl, log: quiet, throttle: never, retry: never }
const organization = "mk0r-apps"
const unique = () => `mk0r-test-${randomBytes(5).toString("hex")}`
const operator = new Octokit({ ...plain, auth })

async function twin(method, path, body) {
  const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" }
  const answer = await fetch(`${direct}/_twin/${path}`, { method, headers, body: body && JSON.stringify(body) })
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
  return answer.status === 204 ? undefined : answer.json()
}

let facts
const made = []

before(async () => {
  facts = await twin("GET", "app")
  for (const name of [unique(), unique()]) {
    await operator.rest.repos.createInOrg({ org: organization, name, private: true, auto_init: true })
    made.push(name)
  }
})

beforeEach(() => twin("DELETE", "faults"))

after(async () => {
  await twin("PUT", "limits", { enforced: false })
  for (const repo of made) await operator.rest.repos.delete({ owner: organization, repo })
})

const app = () => new App({ appId: facts.id, privateKey: facts.private_key, Octokit: Octokit.defaults(plain), log: quiet })

async function installed() {
  const { data } = await app().octokit.rest.apps.getOrgInstallation({ org: organization })
  return data.id
}

test("an App visits every repository it is installed on", async () => {
  const seen = []
  await app().eachRepository({ installationId: await installed() }, ({ repository }) => seen.push(repository.name))
  for (const name of made) assert.ok(seen.includes(name))
  const accounts = []
  await app().eachInstallation(({ installation }) => accounts.push(installation.account.login))
  assert.ok(accounts.includes(organization))
  assert.match(await app().getInstallationUrl(), new RegExp(`/apps/${facts.slug}/installations/new$`))
})

test("an installation writes where its token may, and its token is asked for once", async () => {
  const octokit = await app().getInstallationOctokit(await installed())
  const [repo, other] = made
  const { token, type } = await octokit.auth({ type: "installation", repositoryNames: [repo], permissions: { contents: "write" } })
  assert.equal(type, "token")
  assert.match(token, /^ghs_\d+_ey[\w-]+\.[\w-]+\.[\w-]+$/)
  const narrow = new Octokit({ ...plain, auth: token })
  const content = Buffer.from("by the App").toString("base64")
  const written = await narrow.rest.repos.createOrUpdateFileContents({ owner: organization, repo, path: "a.txt", message: "Add", content })
  assert.equal(written.data.commit.author.name, `${facts.slug}[bot]`)
  await assert.rejects(narrow.rest.repos.get({ owner: organization, repo: other }), { status: 404 })
  await assert.rejects(narrow.rest.repos.delete({ owner: organization, repo }), (problem) => {
    assert.equal(problem.status, 403)
    assert.match(problem.message, /^Resource not accessible by integration/)
    assert.equal(problem.response.headers["x-accepted-github-permissions"], "administration=write")
    return true
  })
  const workflow = { owner: organization, repo, path: ".github/workflows/ci.yml", message: "No", content }
  await assert.rejects(narrow.rest.repos.createOrUpdateFileContents(workflow), { status: 403 })
  const first = await octokit.auth({ type: "installation" })
  assert.equal((await octokit.auth({ type: "installation" })).token, first.token)
})

test("a clock that is wrong is set right by the answer's date", async () => {
  for (const hours of [1, -1]) {
    const told = []
    const log = { ...quiet, warn: (text) => told.push(text) }
    mock.timers.enable({ apis: ["Date"], now: Date.now() + hours * 3_600_000 })
    try {
      const { octokit } = new App({ appId: facts.id, privateKey: facts.private_key, Octokit: Octokit.defaults(plain), log })
      assert.equal((await octokit.rest.apps.getAuthenticated()).data.id, facts.id)
    } finally {
      mock.timers.reset()
    }
    const said = told.map((text) => /system time are different by (-?\d+) seconds/.exec(text)?.[1]).find(Boolean)
    assert.ok(Math.abs(Number(said) + hours * 3600) < 10, String(told))
  }
})

test("a failed read is tried again", async () => {
  await twin("POST", "faults", { method: "GET", path: "/user", status: 502, body: "{}", times: 2 })
  const octokit = new Octokit({ ...plain, auth, retry: { retryAfterBaseValue: 1 } })
  assert.equal((await octokit.rest.users.getAuthenticated()).status, 200)
})

const heard = []
const listen = (kind) => (after, _options, _octokit, count) => {
  heard.push([kind, after])
  return count < 1
}

async function newcomer() {
  heard.length = 0
  const { login } = await twin("POST", "users", { login: unique() })
  const { token } = await twin("POST", "tokens", { login })
  const throttle = { retryAfterBaseValue: 0, onRateLimit: listen("primary"), onSecondaryRateLimit: listen("secondary") }
  return new Octokit({ baseUrl, auth: token, log: quiet, throttle, retry: never }).rest
}

async function limited(changed, work) {
  const { allowances } = await twin("GET", "limits")
  await twin("PUT", "limits", { enforced: true, allowances: changed })
  try {
    await work()
  } finally {
    await twin("PUT", "limits", { enforced: false, allowances })
  }
}

test("who has used up their calls is told when there will be more", () =>
  limited({ core: { limit: 3, seconds: 3600 } }, async () => {
    const { users, rateLimit } = await newcomer()
    for (const left of ["2", "1", "0"]) {
      const { headers } = await users.getAuthenticated()
      assert.equal(headers["x-ratelimit-remaining"], left)
    }
    await assert.rejects(users.getAuthenticated(), (problem) => {
      assert.equal(problem.status, 403)
      assert.match(problem.message, /^API rate limit exceeded for user ID \d+\./)
      return true
    })
    assert.deepEqual(heard.map(([kind]) => kind), ["primary", "primary"])
    assert.ok(heard.every(([, after]) => after > 3500 && after <= 3602), String(heard))
    assert.equal((await rateLimit.get()).data.resources.core.remaining, 0)
  }))

test("who asks for too much in a minute is told to wait", () =>
  limited({ "points a minute": { limit: 6, seconds: 60 } }, async () => {
    const { repos, users } = await newcomer()
    await repos.createForAuthenticatedUser({ name: unique() })
    await users.getAuthenticated()
    await assert.rejects(users.getAuthenticated(), (problem) => {
      assert.equal(problem.status, 429)
      assert.match(problem.message, /^You have exceeded a secondary rate limit\. Please wait a few minutes/)
      return true
    })
    assert.deepEqual(heard.map(([kind]) => kind), ["secondary", "secondary"])
    assert.ok(heard.every(([, after]) => after > 0 && after <= 60), String(heard))
  }))

test("who makes too much in a minute may still read", () =>
  limited({ "creations a minute": { limit: 1, seconds: 60 } }, async () => {
    const { repos, users } = await newcomer()
    await repos.createForAuthenticatedUser({ name: unique() })
    await assert.rejects(repos.createForAuthenticatedUser({ name: unique() }), (problem) => {
      assert.equal(problem.status, 403)
      assert.match(problem.message, /temporarily blocked from content creation/)
      return true
    })
    assert.equal(heard[0][0], "secondary")
    await users.getAuthenticated()
  }))
