// SQL through the unmodified `@neondatabase/serverless`: over HTTP, and over WebSocket with Pool and Client.
import assert from "node:assert/strict"
import { before, test } from "node:test"
import { Client, neon, neonConfig, NeonDbError, Pool } from "@neondatabase/serverless"

const { DATABASE_URL: url } = process.env
const sql = neon(url)
if (process.env.NEON_ORIGIN) neonConfig.disableWarningInBrowsers = true

before(async () => {
  await sql`create table run (id serial primary key, note text not null unique, tags jsonb, laps int[], at timestamptz, blob bytea)`
})

test("a template's values go as parameters and come back as what they are", async () => {
  const at = new Date("2026-01-31T09:30:00.000Z")
  const [row] = await sql`insert into run (note, tags, laps, at, blob)
    values (${"o'hara \\ ü"}, ${{ weather: ["sun"] }}, ${[1, 2]}, ${at}, ${Buffer.from("hi")}) returning *`
  assert.deepEqual(row, { id: row.id, note: "o'hara \\ ü", tags: { weather: ["sun"] }, laps: [1, 2], at, blob: Buffer.from("hi") })
  const [{ big, nothing }] = await sql`select ${2n ** 60n}::int8 as big, ${null}::text as nothing`
  assert.deepEqual([big, nothing], ["1152921504606846976", null])
})

test("query() takes text and values, arrays and full results", async () => {
  const rows = await sql.query("select $1::int as n, $2::text as word", [7, "seven"])
  assert.deepEqual(rows, [{ n: 7, word: "seven" }])
  const whole = await sql.query("select 1 as n", [], { arrayMode: true, fullResults: true })
  assert.deepEqual([whole.rows, whole.command, whole.rowCount, whole.rowAsArray], [[[1]], "SELECT", 1, true])
  assert.deepEqual(whole.fields.map(({ name, dataTypeID }) => [name, dataTypeID]), [["n", 23]])
  assert.deepEqual(await neon(url, { arrayMode: true })`select 1, 2`, [[1, 2]])
  assert.deepEqual(await sql`select ${sql.unsafe("1 + 1")} as n`, [{ n: 2 }])
})

test("a transaction is all or nothing, and as isolated as asked", async () => {
  const [, level] = await sql.transaction([sql`select 1`, sql`select current_setting('transaction_isolation') as level, current_setting('transaction_read_only') as ro`], {
    isolationLevel: "Serializable",
    readOnly: true,
    deferrable: true,
  })
  assert.deepEqual(level, [{ level: "serializable", ro: "on" }])
  await assert.rejects(sql.transaction((tx) => [tx`insert into run (note) values ('half')`, tx`select 1 / 0`]), { code: "22012" })
  assert.deepEqual(await sql`select count(*)::int as n from run where note = 'half'`, [{ n: 0 }])
})

test("an error is PostgreSQL's own, in every field", async () => {
  await sql`insert into run (note) values ('once')`
  await assert.rejects(sql`insert into run (note) values ('once')`, (error) => {
    assert.ok(error instanceof NeonDbError)
    const { code, severity, table, schema, constraint, detail, routine } = error
    assert.deepEqual(
      { code, severity, table, schema, constraint, detail },
      { code: "23505", severity: "ERROR", table: "run", schema: "public", constraint: "run_note_key", detail: "Key (note)=(once) already exists." },
    )
    assert.ok(routine)
    return true
  })
  await assert.rejects(sql.query("selec 1"), { code: "42601", position: "1" })
  const stranger = neon(url.replace(/:[^:@/]+@/, ":npg_wrong@"))
  await assert.rejects(stranger`select 1`, { message: /password authentication failed/ })
})

test("an answer that is too large is refused", async () => {
  await assert.rejects(sql`select repeat('x', 11000000)`, { message: /507/ })
})

test("a query is cancelled when nobody waits for it any more", async () => {
  const leaving = new AbortController()
  const asked = assert.rejects(sql.query("select pg_sleep(60) /* left */", [], { fetchOptions: { signal: leaving.signal } }))
  const running = () => sql`select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep(60) /* left */%' and state = 'active'`
  while ((await running())[0].n === 0);
  leaving.abort()
  await asked
  while ((await running())[0].n > 0);
})

test("a Pool's clients keep a session, a transaction and its notices", async () => {
  const pool = new Pool({ connectionString: url, max: 2 })
  const client = await pool.connect()
  await client.query("begin")
  await client.query("create temporary table mine (n int) on commit drop")
  await client.query("insert into mine values ($1)", [5])
  assert.deepEqual((await client.query("select n from mine")).rows, [{ n: 5 }])
  await client.query("rollback")
  await assert.rejects(client.query("select n from mine"), { code: "42P01" })
  client.release()
  assert.deepEqual((await pool.query("select count(*)::int as n from run")).rows[0].n > 0, true)
  await pool.end()
})

test("a Client listens, and is told", async () => {
  const client = new Client(url)
  await client.connect()
  const told = new Promise((resolve) => client.on("notification", resolve))
  await client.query("listen run_added")
  await sql`select pg_notify('run_added', '42')`
  assert.equal((await told).payload, "42")
  await client.end()
  const stranger = new Client(url.replace(/:[^:@/]+@/, ":npg_wrong@"))
  stranger.on("error", () => {})
  await assert.rejects(stranger.connect().then(() => stranger.query("select 1")), { code: "28P01" })
})

test("poolQueryViaFetch asks over HTTP", async () => {
  neonConfig.poolQueryViaFetch = true
  const pool = new Pool({ connectionString: url })
  assert.deepEqual((await pool.query("select $1::int as n", [3])).rows, [{ n: 3 }])
  neonConfig.poolQueryViaFetch = false
  await pool.end()
})
