// The API v2 through the unmodified `@neondatabase/api-client`.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { after, before, test } from "node:test"
import { createApiClient } from "@neondatabase/api-client"

const { NEON_BASE_URL: baseURL, NEON_API_KEY: apiKey, NEON_ORG_ID: org_id } = process.env
const client = createApiClient({ apiKey, baseURL })
const GOING_ON = ["scheduling", "running", "failed"]
const name = `mk0r-test-${randomBytes(4).toString("hex")}`
let project, main, endpoint, role, database

/** What a call answers, once its operations are over. */
async function done(call) {
  const { data } = await call
  for (const { id } of data.operations ?? []) {
    let status
    do {
      status = (await client.getProjectOperation(project, id)).data.operation.status
    } while (GOING_ON.includes(status))
    assert.equal(status, "finished")
  }
  return data
}

const refusal = (call) => call.then(() => assert.fail("it was not refused"), (error) => error.response)

before(async () => {
  const { data } = await client.createProject({ project: { name, ...(org_id && { org_id }) } })
  project = data.project.id
  await done(Promise.resolve({ data }))
  main = data.branch.id
  endpoint = data.endpoints[0].id
  role = data.roles[0].name
  database = data.databases[0].name
})

after(() => client.deleteProject(project))

test("a project is found, read and renamed", async () => {
  const { data: listed } = await client.listProjects({ search: name, limit: 10, ...(org_id && { org_id }) })
  assert.deepEqual(listed.projects.map(({ id }) => id), [project])
  const { data } = await done(client.updateProject(project, { project: { name: `${name}-renamed` } })).then(() => client.getProject(project))
  assert.equal(data.project.name, `${name}-renamed`)
  const { data: uri } = await client.getConnectionUri({ projectId: project, database_name: database, role_name: role, pooled: true })
  assert.match(uri.uri, /^postgres(ql)?:\/\//)
})

test("a branch is made with a compute, renamed, compared, and deleted", async () => {
  const made = await done(client.createProjectBranch(project, { branch: { name: "dev" }, endpoints: [{ type: "read_write" }] }))
  const { id, parent_id } = made.branch
  assert.equal(parent_id, main)
  assert.equal(made.connection_uris.length, 1)
  const { data: renamed } = await client.updateProjectBranch(project, id, { branch: { name: "dev-2" } })
  assert.equal(renamed.branch.name, "dev-2")
  const { data: listed } = await client.listProjectBranches({ projectId: project, search: "dev-2" })
  assert.deepEqual(listed.branches.map((branch) => branch.id), [id])
  assert.equal((await client.countProjectBranches({ projectId: project })).data.count, 2)
  assert.equal((await client.getProjectBranch(project, id)).data.branch.current_state, "ready")
  await done(client.deleteProjectBranch({ projectId: project, branchId: id }))
})

test("a branch is put back to another, and keeps what it was under a name", async () => {
  const { branch: backup } = await done(client.createProjectBranch(project, { branch: { name: "backup" } }))
  const { branch } = await done(
    client.restoreProjectBranch(project, main, { source_branch_id: backup.id, preserve_under_name: "before-restore" }),
  )
  assert.equal(branch.id, main)
  const { data } = await client.listProjectBranches({ projectId: project })
  assert.ok(data.branches.some(({ name }) => name === "before-restore"))
})

test("a snapshot is looked at, and takes the branch's place with its compute", async () => {
  const { data: fresh } = await client.createProject({ project: { name: `${name}-snapshots`, ...(org_id && { org_id }) } })
  const [projectId, branchId] = [fresh.project.id, fresh.branch.id]
  const over = async ({ data }) => {
    for (const { id } of data.operations)
      while (GOING_ON.includes((await client.getProjectOperation(projectId, id)).data.operation.status));
    return data
  }
  await over({ data: fresh })
  const { snapshot } = await over(await client.createSnapshot({ projectId, branchId, name: "good" }))
  assert.deepEqual((await client.listSnapshots(projectId)).data.snapshots.map(({ id }) => id), [snapshot.id])
  await client.updateSnapshot(projectId, snapshot.id, { snapshot: { name: "better" } })
  const { branch } = await over(await client.restoreSnapshot({ projectId, snapshotId: snapshot.id }, { name: "look" }))
  assert.equal(branch.restored_from, snapshot.id)
  await over(await client.finalizeRestoreBranch(projectId, branch.id, { name: "before" }))
  const { data: moved } = await client.listProjectBranchEndpoints(projectId, branch.id)
  assert.ok(moved.endpoints.some(({ id }) => id === fresh.endpoints[0].id))
  assert.equal((await client.deleteSnapshot(projectId, snapshot.id)).status, 202)
  await client.deleteProject(projectId)
})

test("roles and databases come and go", async () => {
  const { role: made } = await done(client.createProjectBranchRole(project, main, { role: { name: "analyst" } }))
  assert.ok(made.password)
  await done(client.createProjectBranchDatabase(project, main, { database: { name: "reports", owner_name: "analyst" } }))
  const { data: listed } = await client.listProjectBranchDatabases(project, main)
  assert.equal(listed.databases.length, 2)
  const { role: reset } = await done(client.resetProjectBranchRolePassword(project, main, "analyst"))
  assert.notEqual(reset.password, made.password)
  assert.equal((await client.getProjectBranchRolePassword(project, main, "analyst")).data.password, reset.password)
  await done(client.updateProjectBranchDatabase(project, main, "reports", { database: { owner_name: role } }))
  await done(client.deleteProjectBranchDatabase(project, main, "reports"))
  await done(client.deleteProjectBranchRole(project, main, "analyst"))
  assert.equal((await client.listProjectBranchRoles(project, main)).data.roles.length, 1)
})

test("a compute is suspended, started, restarted and changed", async () => {
  await done(client.suspendProjectEndpoint(project, endpoint))
  assert.equal((await client.getProjectEndpoint(project, endpoint)).data.endpoint.current_state, "idle")
  await done(client.startProjectEndpoint(project, endpoint))
  await done(client.restartProjectEndpoint(project, endpoint))
  await done(client.updateProjectEndpoint(project, endpoint, { endpoint: { suspend_timeout_seconds: 600 } }))
  const { data } = await client.listProjectEndpoints(project)
  const changed = data.endpoints.find(({ id }) => id === endpoint)
  assert.deepEqual([changed.current_state, changed.suspend_timeout_seconds], ["active", 600])
})

test("operations come in pages", async () => {
  const { data: first } = await client.listProjectOperations({ projectId: project, limit: 2 })
  assert.equal(first.operations.length, 2)
  const { data: next } = await client.listProjectOperations({ projectId: project, limit: 2, cursor: first.pagination.cursor })
  assert.ok(!first.operations.some(({ id }) => next.operations.some((other) => other.id === id)))
})

test("a deleted project is recovered", async () => {
  const { data } = await client.createProject({ project: { name: `${name}-gone`, ...(org_id && { org_id }) } })
  const { id } = data.project
  for (const operation of data.operations)
    while (GOING_ON.includes((await client.getProjectOperation(id, operation.id)).data.operation.status));
  await client.deleteProject(id)
  assert.equal((await refusal(client.getProject(id))).status, 404)
  assert.equal((await client.recoverProject(id)).data.project.id, id)
  await client.deleteProject(id)
})

test("what cannot be is refused in Neon's words", async () => {
  const missing = await refusal(client.getProject("no-such-project-00000000"))
  assert.equal(missing.status, 404)
  assert.deepEqual(Object.keys(missing.data).sort(), ["code", "message", "request_id"])
  assert.ok([400, 422].includes((await refusal(client.createProject({ project: { pg_version: 99 } }))).status))
  assert.equal((await refusal(client.createProjectBranch(project, { branch: { name: "main" } }))).status, 409)
  const second = await refusal(client.createProjectEndpoint(project, { endpoint: { branch_id: main, type: "read_write" } }))
  assert.equal(second.status, 409)
  const stranger = await refusal(createApiClient({ apiKey: "napi_bogus", baseURL }).getProject(project))
  assert.deepEqual([stranger.status, stranger.data.message], [401, "supplied credentials do not pass authentication"])
})
