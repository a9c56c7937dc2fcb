// GitHub's REST API through the unmodified octokit.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { randomBytes } from "node:crypto"
import { gunzipSync } from "node:zlib"
import { Octokit, RequestError } from "octokit"

const { GITHUB_API_URL: baseUrl, GITHUB_TOKEN: auth } = process.env
const unique = () => `mk0r-test-${randomBytes(5).toString("hex")}`
const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const octokit = new Octokit({ baseUrl, auth, log: quiet, throttle: { enabled: false }, retry: { enabled: false } })
const { repos, git, users } = octokit.rest
const base64 = (text) => Buffer.from(text).toString("base64")
const refused = (status, message) => (problem) => {
  assert.ok(problem instanceof RequestError, String(problem))
  assert.equal(problem.status, status)
  assert.match(problem.message, message)
  return true
}

let at // { owner, repo } of a repository for all the tests

before(async () => {
  const { data } = await repos.createForAuthenticatedUser({ name: unique(), private: true, auto_init: true })
  at = { owner: data.owner.login, repo: data.name }
})

after(() => repos.delete(at))

test("who is asked for is told, with the limits and the scopes", async () => {
  const { data, headers } = await users.getAuthenticated()
  assert.equal(data.login, at.owner)
  assert.ok(Number(headers["x-ratelimit-limit"]) >= 5000)
  assert.match(headers["x-oauth-scopes"], /\brepo\b/)
  assert.match(headers["x-github-request-id"], /^[0-9A-F]+(:[0-9A-F]+){4}$/)
  assert.equal(headers["x-github-media-type"], "github.v3; format=json")
})

test("a taken name, a missing one and a wrong token are refused as GitHub refuses them", async () => {
  await assert.rejects(repos.createForAuthenticatedUser({ name: at.repo }), (problem) => {
    assert.equal(problem.status, 422)
    assert.deepEqual(problem.response.data, {
      message: "Repository creation failed.",
      errors: [{ resource: "Repository", code: "custom", field: "name", message: "name already exists on this account" }],
      documentation_url: "https://docs.github.com/rest/repos/repos#create-a-repository-for-the-authenticated-user",
      status: "422",
    })
    return true
  })
  await assert.rejects(repos.get({ ...at, repo: unique() }), refused(404, /^Not Found - https:\/\/docs\.github\.com\/rest\/repos\/repos#get-a-repository$/))
  const stranger = new Octokit({ baseUrl, auth: "ghp_wrong", log: quiet })
  await assert.rejects(stranger.rest.users.getAuthenticated(), refused(401, /^Bad credentials/))
})

test("a file is read as JSON, as it is, and as an object with its folder", async () => {
  const path = "docs/sub dir/näme.txt"
  await repos.createOrUpdateFileContents({ ...at, path, message: "Add", content: base64("content\n") })
  const { data } = await repos.getContent({ ...at, path })
  assert.equal(Buffer.from(data.content, "base64").toString(), "content\n")
  const raw = await repos.getContent({ ...at, path, mediaType: { format: "raw" } })
  assert.equal(raw.data, "content\n")
  const folder = await repos.getContent({ ...at, path: "docs/sub dir", mediaType: { format: "object" } })
  assert.deepEqual(folder.data.entries.map((entry) => entry.name), ["näme.txt"])
  const again = { ...at, path, message: "Again", content: base64("new\n") }
  await assert.rejects(repos.createOrUpdateFileContents(again), refused(422, /"sha" wasn't supplied/))
  await repos.createOrUpdateFileContents({ ...again, sha: data.sha })
  await assert.rejects(repos.createOrUpdateFileContents({ ...again, sha: data.sha }), refused(409, /does not match/))
  await assert.rejects(
    repos.createOrUpdateFileContents({ ...at, path: "a/../b", message: "No", content: base64("x") }),
    refused(422, /path contains a malformed path component/),
  )
})

test("a tree is written in one commit, and a stale ref is not moved", async () => {
  const { data: ref } = await git.getRef({ ...at, ref: "heads/main" })
  const tree = ["one", "two"].map((name) => ({ path: `tree/${name}.txt`, mode: "100644", type: "blob", content: name }))
  const { data: made } = await git.createTree({ ...at, base_tree: ref.object.sha, tree })
  const { data: commit } = await git.createCommit({ ...at, message: "Tree", tree: made.sha, parents: [ref.object.sha] })
  await git.updateRef({ ...at, ref: "heads/main", sha: commit.sha })
  await assert.rejects(git.updateRef({ ...at, ref: "heads/main", sha: ref.object.sha }), refused(422, /not a fast forward/))
  const { data } = await git.getTree({ ...at, tree_sha: "main", recursive: "true" })
  assert.ok(data.tree.some((entry) => entry.path === "tree/two.txt"))
  await assert.rejects(
    git.createTree({ ...at, base_tree: commit.sha, tree: [{ path: "nowhere", mode: "100644", type: "blob", sha: null }] }),
    refused(422, /GitRPC::BadObjectState/),
  )
})

test("a commit can be had as a diff, a patch and an id", async () => {
  const content = base64("export {}\n")
  const { data } = await repos.createOrUpdateFileContents({ ...at, path: "app.ts", message: "Type\n\nMore", content })
  const get = async (format) => (await repos.getCommit({ ...at, ref: "main", mediaType: { format } })).data
  assert.equal(await get("sha"), data.commit.sha)
  assert.match(await get("diff"), /^diff --git a\/app\.ts b\/app\.ts\nnew file mode 100644/)
  assert.match(await get("patch"), /^From [0-9a-f]{40} .*\nFrom: .*\nDate: .*\nSubject: \[PATCH\] Type/)
  const { data: whole } = await repos.getCommit({ ...at, ref: data.commit.sha })
  assert.deepEqual(whole.files.map(({ filename, status, patch }) => [filename, status, patch]), [
    ["app.ts", "added", "@@ -0,0 +1 @@\n+export {}"],
  ])
  const { data: compared } = await repos.compareCommitsWithBasehead({ ...at, basehead: `${whole.parents[0].sha}...main` })
  assert.deepEqual([compared.status, compared.ahead_by, compared.commits.length], ["ahead", 1, 1])
})

test("a list is paged to its end, and stopped in the middle", async () => {
  const { data: ref } = await git.getRef({ ...at, ref: "heads/main" })
  for (const number of [1, 2, 3, 4]) await git.createRef({ ...at, ref: `refs/heads/page-${number}`, sha: ref.object.sha })
  const all = await octokit.paginate(repos.listBranches, { ...at, per_page: 2 })
  assert.deepEqual(all.map(({ name }) => name), ["main", "page-1", "page-2", "page-3", "page-4"])
  let pages = 0
  for await (const { data } of octokit.paginate.iterator(repos.listBranches, { ...at, per_page: 2 })) {
    pages += 1
    assert.equal(data.length, 2)
    if (pages === 2) break
  }
  const { headers } = await repos.listCommits({ ...at, per_page: 1, sha: "main" })
  assert.match(headers.link, /sha=main.*rel="next".*rel="last"/)
})

test("what has not changed is not sent again, and costs nothing", async () => {
  const { headers } = await repos.get(at)
  await assert.rejects(repos.get({ ...at, headers: { "if-none-match": headers.etag } }), (problem) => {
    assert.equal(problem.status, 304)
    assert.equal(problem.response.headers["x-ratelimit-remaining"], headers["x-ratelimit-remaining"])
    return true
  })
})

test("an archive is downloaded through its redirect", async () => {
  const { data } = await repos.downloadTarballArchive({ ...at, ref: "main" })
  assert.ok(gunzipSync(Buffer.from(data)).includes("README.md"))
})

test("an old name leads to the new one, for reading and for writing", async () => {
  const before = { ...at }
  const { data } = await repos.update({ ...at, name: unique() })
  at = { owner: at.owner, repo: data.name }
  assert.equal((await repos.get(before)).data.name, at.repo)
  assert.equal((await repos.update({ ...before, description: "Moved" })).data.description, "Moved")
  const { data: file } = await repos.getContent({ ...before, path: "README.md" })
  assert.equal(file.name, "README.md")
})

test("topics, languages and the limits are told", async () => {
  await repos.replaceAllTopics({ ...at, names: ["one", "two"] })
  assert.deepEqual((await repos.getAllTopics(at)).data.names, ["one", "two"])
  await assert.rejects(repos.replaceAllTopics({ ...at, names: ["No Spaces"] }), refused(422, /Validation Failed/))
  assert.equal(typeof (await repos.listLanguages(at)).data, "object")
  assert.ok((await octokit.rest.rateLimit.get()).data.resources.core.limit >= 5000)
})

test("a version and a form that do not exist are refused", async () => {
  await assert.rejects(
    octokit.request("GET /user", { headers: { "x-github-api-version": "2020-01-01" } }),
    refused(400, /"2020-01-01", is not a supported version/),
  )
  await assert.rejects(octokit.request("GET /user", { headers: { accept: "text/plain" } }), refused(415, /Must accept/))
  const { headers } = await octokit.request("GET /user", { headers: { "x-github-api-version": "2026-03-10" } })
  assert.equal(headers["x-github-api-version-selected"], "2026-03-10")
})
