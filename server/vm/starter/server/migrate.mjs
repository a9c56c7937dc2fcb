// Applies the migrations in drizzle/ that this database has not seen, in one transaction.
import { existsSync } from 'node:fs'

const url = process.env.DATABASE_URL
if (!url) fail('DATABASE_URL is not set: there is no database to migrate.')
if (!existsSync('drizzle/meta/_journal.json')) {
  console.log('No migrations yet. Add tables to server/schema.ts, then: npm run db:generate')
  process.exit(0)
}

try {
  await (hostname(url).endsWith('.neon.tech') ? overWebSocket() : overTcp())
  console.log('The database is up to date.')
} catch (error) {
  const cause = error.cause ?? error
  fail(`The migration failed and nothing was changed: ${cause.message || cause.code || 'unknown error'}`)
}

/** Neon through port 443, which is open where 5432 may not be. */
async function overWebSocket() {
  const { Pool } = await import('@neondatabase/serverless')
  const { drizzle } = await import('drizzle-orm/neon-serverless')
  const { migrate } = await import('drizzle-orm/neon-serverless/migrator')
  await apply(new Pool({ connectionString: url, max: 1 }), drizzle, migrate)
}

async function overTcp() {
  const { default: pg } = await import('pg')
  const { drizzle } = await import('drizzle-orm/node-postgres')
  const { migrate } = await import('drizzle-orm/node-postgres/migrator')
  await apply(new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 15_000 }), drizzle, migrate)
}

async function apply(pool, drizzle, migrate) {
  try {
    await migrate(drizzle({ client: pool }), { migrationsFolder: 'drizzle' })
  } finally {
    await pool.end()
  }
}

function hostname(text) {
  return URL.canParse(text) ? new URL(text).hostname : fail('DATABASE_URL is not a connection string.')
}

function fail(sentence) {
  console.error(sentence)
  process.exit(1)
}
