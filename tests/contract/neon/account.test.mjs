// Keys, organizations, handing projects over, and consumption, through the unmodified `@neondatabase/api-client`.
// It takes two people's keys, MAKER_KEY and TAKER_KEY, each with the id of an organization of theirs on a paid plan.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { createApiClient } from "@neondatabase/api-client"

const { NEON_BASE_URL: baseURL, MAKER_KEY, MAKER_ORG, TAKER_KEY, TAKER_ORG } = process.env
const as = (apiKey) => createApiClient({ apiKey, baseURL })
const maker = as(MAKER_KEY)
const taker = as(TAKER_KEY)
const refusal = (call) => call.then(() => assert.fail("it was not refused"), (error) => error.response)
let project

before(async () => {
  project = (await maker.createProject({ project: { org_id: MAKER_ORG } })).data.project.id
})
after(() => taker.deleteProject(project))

test("a person asks for themselves, their organizations and the regions", async () => {
  const { data: me } = await maker.getCurrentUserInfo()
  assert.ok(me.email)
  const { data } = await maker.getCurrentUserOrganizations()
  assert.ok(data.organizations.some(({ id }) => id === MAKER_ORG))
  assert.equal((await maker.getOrganization(MAKER_ORG)).data.id, MAKER_ORG)
  assert.equal((await maker.getAuthDetails()).data.auth_method, "api_key_user")
  assert.ok((await maker.getActiveRegions({})).data.regions.some(({ region_id }) => region_id === "aws-us-east-2"))
})

test("a person's key must name an organization, an organization's need not", async () => {
  assert.equal((await refusal(maker.listProjects({}))).status, 400)
  const { data: made } = await maker.createOrgApiKey(MAKER_ORG, { key_name: "mk0r-test" })
  const org = as(made.key)
  assert.ok((await org.listProjects({})).data.projects.some(({ id }) => id === project))
  const refused = await refusal(org.getCurrentUserInfo())
  assert.deepEqual([refused.status, refused.data.message], [404, "not allowed for organization API keys"])
  assert.ok((await maker.listOrgApiKeys(MAKER_ORG)).data.some(({ id }) => id === made.id))
  assert.equal((await maker.revokeOrgApiKey(MAKER_ORG, made.id)).data.revoked, true)
  assert.equal((await refusal(org.listProjects({}))).status, 401)
})

test("a project-scoped key opens that project only, and dies when the project is handed over", async () => {
  const { data: made } = await maker.createOrgApiKey(MAKER_ORG, { key_name: "mk0r-test", project_id: project })
  const scoped = as(made.key)
  assert.equal((await scoped.getProject(project)).data.project.id, project)
  for (const call of [() => scoped.listProjects({}), () => scoped.deleteProject(project), () => scoped.createProject({ project: {} })])
    assert.equal((await refusal(call())).status, 404)
  const { data: request } = await maker.createProjectTransferRequest(project, { ttl_seconds: 60 })
  assert.equal((await taker.acceptProjectTransferRequest(project, request.id, { org_id: TAKER_ORG })).status, 204)
  assert.equal((await taker.getProject(project)).data.project.org_id, TAKER_ORG)
  assert.equal((await refusal(maker.getProject(project))).status, 404)
  assert.ok((await refusal(scoped.getProject(project))).status >= 401)
  await maker.revokeOrgApiKey(MAKER_ORG, made.id)
})

test("what a project used is told by the hour", async () => {
  const now = Date.now()
  const hour = (ago) => `${new Date(now - ago * 3_600_000).toISOString().slice(0, 13)}:00:00Z`
  const { data } = await taker.getConsumptionHistoryPerProjectV2({
    org_id: TAKER_ORG, project_ids: [project], from: hour(1), to: hour(-1), granularity: "hourly", metrics: ["compute_unit_seconds"],
  })
  assert.deepEqual(data.projects.map((each) => each.project_id), [project])
})
