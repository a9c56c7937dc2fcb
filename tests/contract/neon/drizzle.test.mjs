// drizzle-orm, unmodified, on each of its three ways to Neon.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { Client, neon, Pool } from "@neondatabase/serverless"
import { eq, sql as raw } from "drizzle-orm"
import { drizzle as overHttp } from "drizzle-orm/neon-http"
import { drizzle as overWebSocket } from "drizzle-orm/neon-serverless"
import { drizzle as overTcp } from "drizzle-orm/node-postgres"
import { integer, jsonb, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core"
import { relations } from "drizzle-orm"
import pg from "pg"

const { DATABASE_URL: url } = process.env
const person = pgTable("person", { id: serial("id").primaryKey(), name: text("name").notNull().unique() })
const run = pgTable("run_of", {
  id: serial("id").primaryKey(),
  person: integer("person_id").references(() => person.id),
  tags: jsonb("tags"),
  laps: integer("laps").array(),
  at: timestamp("at", { withTimezone: true }).defaultNow(),
})
const schema = { person, run, ofPerson: relations(person, ({ many }) => ({ runs: many(run) })), ofRun: relations(run, ({ one }) => ({ runner: one(person, { fields: [run.person], references: [person.id] }) })) }
const http = overHttp(neon(url), { schema })
const sockets = new Pool({ connectionString: url })
const tcp = new pg.Pool({ connectionString: url })
const WAYS = { "neon-http": http, "neon-serverless": overWebSocket(sockets, { schema }), "node-postgres": overTcp(tcp, { schema }) }

before(async () => {
  await http.execute(raw`create table person (id serial primary key, name text not null unique)`)
  await http.execute(raw`create table run_of (id serial primary key, person_id int references person, tags jsonb, laps int[], at timestamptz default now())`)
})
after(() => Promise.all([sockets.end(), tcp.end()]))

for (const [way, db] of Object.entries(WAYS)) {
  test(`${way}: what is inserted is returned, selected, joined, updated and deleted`, async () => {
    const [{ id }] = await db.insert(person).values({ name: way }).returning()
    const [made] = await db.insert(run).values({ person: id, tags: { k: [1, "ü"] }, laps: [3, 4] }).returning()
    assert.deepEqual([made.tags, made.laps], [{ k: [1, "ü"] }, [3, 4]])
    assert.ok(made.at instanceof Date)
    const found = await db.query.person.findFirst({ where: eq(person.name, way), with: { runs: true } })
    assert.deepEqual(found.runs.map((each) => each.id), [made.id])
    const joined = await db.select({ name: person.name, laps: run.laps }).from(run).innerJoin(person, eq(run.person, person.id)).where(eq(person.id, id))
    assert.deepEqual(joined, [{ name: way, laps: [3, 4] }])
    await db.update(run).set({ laps: [5] }).where(eq(run.id, made.id))
    assert.deepEqual(await db.delete(run).where(eq(run.id, made.id)).returning({ laps: run.laps }), [{ laps: [5] }])
    await assert.rejects(db.insert(person).values({ name: way }), (error) => (error.cause ?? error).code === "23505")
  })
}

test("neon-http: a batch is one transaction", async () => {
  const [inserted, counted] = await http.batch([
    http.insert(person).values({ name: "batched" }).returning({ name: person.name }),
    http.select({ n: raw`count(*)::int` }).from(person).where(eq(person.name, "batched")),
  ])
  assert.deepEqual([inserted, counted], [[{ name: "batched" }], [{ n: 1 }]])
  await assert.rejects(http.batch([http.insert(person).values({ name: "lost" }), http.insert(person).values({ name: "batched" })]))
  assert.deepEqual(await http.select().from(person).where(eq(person.name, "lost")), [])
})

for (const way of ["neon-serverless", "node-postgres"]) {
  test(`${way}: a transaction that fails leaves nothing`, async () => {
    const db = WAYS[way]
    await assert.rejects(db.transaction(async (tx) => {
      await tx.insert(person).values({ name: `${way} rolled back` })
      throw new Error("changed my mind")
    }))
    await db.transaction((tx) => tx.insert(person).values({ name: `${way} committed` }))
    const names = (await db.select().from(person)).map(({ name }) => name)
    assert.ok(names.includes(`${way} committed`) && !names.includes(`${way} rolled back`))
  })
}

test("neon-serverless: drizzle takes a single Client too", async () => {
  const client = new Client(url)
  await client.connect()
  const { rows } = await overWebSocket(client).execute(raw`select 1 as n`)
  assert.deepEqual(rows, [{ n: 1 }])
  await client.end()
})
